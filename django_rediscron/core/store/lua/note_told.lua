-- Move a receiver's position on, and delete what all have been told.
--
-- KEYS[1]: the lock
-- ARGV[1]: the token that must hold the lock, ARGV[2]: the stream, ARGV[3]: name of the receiver,
-- ARGV[4]: its position as it was read, ARGV[5]: the new one, both as `ID NUMBER`,
-- ARGV[6]: epoch seconds, ARGV[7]: how many it will never be told
-- Returns false if the token does not hold the lock and nothing was done, else 1. If the position
--   is another one, this is the same call again, whose reply was lost.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return false end

-- include: positions

local stream, name, before, after, moment, dropped = unpack(ARGV, 2, 7)
local told = stream .. TOLD_SUFFIX
if parts_of(redis.call('HGET', told, name) or nil) ~= before then return 1 end

redis.call('HSET', told, name, after .. ' ' .. moment)
if dropped ~= '0' then redis.pcall('HINCRBY', DROPPED, name, dropped) end

local function is_less(one, other)
  return one[1] < other[1] or one[1] == other[1] and one[2] < other[2]
end

local first
local positions = redis.call('HGETALL', told)
for i = 1, #positions, 2 do
  local ms, seq = string.match(positions[i + 1], '^(%d+)-(%d+) ')
  local id = ms and {tonumber(ms), tonumber(seq)}
  if id and (not first or is_less(id, first)) then first = id end
end
if first then
  redis.pcall('XTRIM', stream, 'MINID', string.format('%.0f-%.0f', first[1], first[2] + 1))
end
return 1
