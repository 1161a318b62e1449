-- Remove members that have neither a hash nor a history from the indexes, and those without an
-- error in their hash from the errors.
--
-- KEYS[1]: index, KEYS[2]: disabled index, KEYS[3]: errors
-- ARGV[1], ARGV[2]: prefix and suffix of the key of a history around the id; then members
-- Returns how many were removed.

local INDEX, DISABLED, ERRORS = unpack(KEYS, 1, 3)
local pruned = 0
for i = 3, #ARGV do
  local member = ARGV[i]
  local hash, gone = ARGV[1] .. member, 0
  if not redis.pcall('HGET', hash, 'last_error') then
    gone = redis.call('ZREM', ERRORS, member)
  end
  if redis.call('EXISTS', hash) == 0 then
    gone = math.max(gone, redis.call('ZREM', DISABLED, member))
    -- With a history it is a name in RQ's own registry of cron jobs, which is the same key.
    if redis.call('EXISTS', hash .. ARGV[2]) == 0 then
      gone = math.max(gone, redis.call('ZREM', INDEX, member))
    end
  end
  pruned = pruned + gone
end
return pruned
