-- Note which receivers a leader tells. New ones begin at the end of the stream; those that no
-- leader has had for long are forgotten, and if none is left, all that was to be told is.
--
-- KEYS[1]: the lock
-- ARGV[1]: the token that must hold the lock, ARGV[2]: the stream, ARGV[3]: epoch seconds,
-- ARGV[4]: seconds after which others are forgotten, then the names of the receivers
-- Returns false if the token does not hold the lock and nothing was done, else 1.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return false end

-- include: positions
-- include: stream_end

local stream, moment, patience = ARGV[2], ARGV[3], tonumber(ARGV[4])
local told, is_ours, are_left = stream .. TOLD_SUFFIX, {}, false

for i = 5, #ARGV do
  local place = parts_of(redis.call('HGET', told, ARGV[i]) or nil)
  local position = place and place .. ' ' .. moment or end_of(stream, moment)
  redis.call('HSET', told, ARGV[i], position)
  is_ours[ARGV[i]], are_left = true, true
end

local known = redis.call('HGETALL', told)
for i = 1, #known, 2 do
  local name, _, time = known[i], parts_of(known[i + 1])
  if name ~= '' and not is_ours[name] then
    if time and time > moment - patience then
      are_left = true
    else
      redis.call('HDEL', told, name)
    end
  end
end
if known[1] and not are_left then redis.call('DEL', told, stream) end
return 1
