-- What a receiver has not been told yet, the oldest first. Only one that is new writes something.
--
-- KEYS[1]: the lock
-- ARGV[1]: the token that must hold the lock, ARGV[2]: the stream, ARGV[3]: name of the receiver,
-- ARGV[4]: how many at most, ARGV[5]: epoch seconds
-- Returns false if the token does not hold the lock; otherwise a list: the receiver's position, the
--   number of the latest entry that was ever made, the entries.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return false end

-- include: positions
-- include: stream_end

local stream, name = ARGV[2], ARGV[3]
local told = stream .. TOLD_SUFFIX

local place = parts_of(redis.call('HGET', told, name) or nil)
if not place then
  local position = end_of(stream, ARGV[5])
  redis.call('HSET', told, name, position)
  place = parts_of(position)
end
local id = string.match(place, '^%S+')
local entries = redis.call('XRANGE', stream, '(' .. id, '+', 'COUNT', ARGV[4])
return {place, redis.call('HGET', told, '') or '0', entries}
