-- Ids of the schedules that an application declared. Writes nothing.
--
-- KEYS[1]: an index
-- ARGV[1], ARGV[2]: first and last rank in it, ARGV[3]: the application
-- Returns a list of ids.

local found = {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], ARGV[1], ARGV[2])) do
  local values = redis.pcall('HMGET', JOB_PREFIX .. id, 'source', 'application')
  if not values.err and values[1] == 'code' and values[2] == ARGV[3] then
    found[#found + 1] = id
  end
end
return found
