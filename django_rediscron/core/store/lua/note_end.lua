-- Write when a job ended, if RQ still keeps it.
--
-- KEYS[1]: its hash
-- ARGV[1]: the time as UTC text
-- Returns nothing.

if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'ended_at', ARGV[1]) end
