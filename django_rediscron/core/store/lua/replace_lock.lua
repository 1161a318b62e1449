-- Take the lock over from a dead holder.
--
-- KEYS[1]: the lock
-- ARGV[1]: its token, ARGV[2]: the new token, ARGV[3]: TTL in ms
-- Returns 1, or 0 if another one holds it by now.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
