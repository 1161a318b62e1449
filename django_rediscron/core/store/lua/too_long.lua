-- The schedules of a slice of the jobs in flight of which it was told that they take too long.
-- Writes nothing.
--
-- KEYS: none, because a user who may only read a key may not declare it
-- ARGV[1]: cursor, 0 to begin, ARGV[2]: about how many to look at
-- Returns JSON: the next cursor, 0 at the end; an id for each such job.

local reply = redis.pcall('HSCAN', IN_FLIGHT, ARGV[1], 'COUNT', ARGV[2])
if reply.err then return cjson.encode({'0', {}}) end -- a key of another type
local cursor, entries = unpack(reply)
local ids = {}
for i = 2, #entries, 2 do
  local limit, id = string.match(entries[i], '^%S+ %S+ %S+ (%S+) %S+ %S+ (.*)$')
  if limit and string.find(limit, '!', 1, true) then ids[#ids + 1] = id end
end
return cjson.encode({cursor, ids})
