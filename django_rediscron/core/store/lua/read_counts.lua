-- How the runs of schedules ended, and what was counted of them. Writes nothing.
--
-- KEYS: none, because a user who may only read keys may not declare them
-- ARGV: keys of hashes
-- Returns JSON: for each its fields and values in turn, nothing for a key of another type.

local found = {}
for i, key in ipairs(ARGV) do
  local fields = redis.pcall('HGETALL', key)
  found[i] = fields.err and {} or fields
end
return cjson.encode(found)
