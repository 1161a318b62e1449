-- What every change of definitions begins and ends with.
-- KEYS[1] to KEYS[6]: as named here; the hashes of the schedules follow.
local INDEX, DISABLED, ERRORS, LAST_UPDATE, INDEXED, DELETED = unpack(KEYS, 1, 6)
local hashes = {unpack(KEYS, 7)}

-- Nothing may be written before all these keys are known to have the right type.
local kinds = {
  [INDEX] = 'zset', [DISABLED] = 'zset', [ERRORS] = 'zset', [LAST_UPDATE] = 'string',
  [INDEXED] = 'string', [DELETED] = 'hash', [DISABLED_UNTIL] = 'zset',
}
for key, kind in pairs(kinds) do
  local found = redis.call('TYPE', key).ok
  if found ~= kind and found ~= 'none' then
    return redis.error_reply('WRONGTYPE nothing was written: key ' .. key .. ' must be a ' .. kind
                             .. ', and is a ' .. found .. '; delete or rename that key')
  end
end

-- Announce that definitions changed. INDEXED follows LAST_UPDATE unless a program that does not
-- maintain our indexes changed something in between.
local function announce(now, events)
  if redis.call('GET', INDEXED) == redis.call('GET', LAST_UPDATE) then
    redis.call('SET', INDEXED, now)
  end
  redis.call('SET', LAST_UPDATE, now)
  for _, event in ipairs(events) do
    redis.call('PUBLISH', EVENTS, event)
  end
end
