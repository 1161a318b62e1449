-- Notifications: what the leader's receivers are to be told, entered by the script that records the
-- cause. Nothing of this may keep the rest from being recorded, so refusals are let pass.

-- Whether some receiver waits for what is entered in each stream, as far as it was asked for.
local is_heard = {}

local function has_receivers(stream)
  if is_heard[stream] == nil then
    is_heard[stream] = redis.pcall('EXISTS', stream .. TOLD_SUFFIX) == 1
  end
  return is_heard[stream]
end

-- Enter a notification of a schedule ('' for none) in a stream, with these fields and values.
-- They are numbered, so that it can be counted how many were lost to the limit of the stream.
local function notify(stream, kind, id, ...)
  if not has_receivers(stream) then return end
  local number = redis.pcall('HINCRBY', stream .. TOLD_SUFFIX, '', 1)
  if type(number) ~= 'number' then return end
  redis.pcall('XADD', stream, 'MAXLEN', LONGEST_STREAM, '*', 'number', number, 'kind', kind,
              'id', id, ...)
end
