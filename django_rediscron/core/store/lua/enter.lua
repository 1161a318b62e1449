-- Enter a job among those in flight. If Redis refuses that, the job runs without being followed.
--
-- KEYS: none, because Redis refuses a script that declares a key that its user may not use
-- ARGV[1]: id of the job, ARGV[2]: its entry
-- Returns nothing.

redis.pcall('HSET', IN_FLIGHT, ARGV[1], ARGV[2])
