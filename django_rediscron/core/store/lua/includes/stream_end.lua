-- The end of a stream, where a new receiver begins, as a position.
local function end_of(stream, moment)
  local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  local number = redis.call('HGET', stream .. TOLD_SUFFIX, '') or '0'
  return (last and last[1] or '0-0') .. ' ' .. number .. ' ' .. moment
end
