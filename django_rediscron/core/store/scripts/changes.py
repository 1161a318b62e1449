"""What every change of definitions begins and ends with."""

from __future__ import annotations

from ..keys import DELETED, DISABLED, ERRORS, EVENTS, INDEX, INDEXED, LAST_UPDATE

CHANGED = f"""
-- Nothing may be written before all that is written to is known to be what it should be.
for key, kind in pairs({{['{INDEX}'] = 'zset', ['{DISABLED}'] = 'zset', ['{ERRORS}'] = 'zset',
                        ['{LAST_UPDATE}'] = 'string', ['{INDEXED}'] = 'string',
                        ['{DELETED}'] = 'hash'}}) do
  local found = redis.call('TYPE', key).ok
  if found ~= kind and found ~= 'none' then
    return redis.error_reply('WRONGTYPE nothing was written: key ' .. key .. ' must be a ' .. kind
                             .. ', and is a ' .. found .. '; delete or rename that key')
  end
end

-- Tell everybody that definitions changed. INDEXED follows LAST_UPDATE unless somebody who does
-- not keep our indexes changed something in between.
local function announce(now, events)
  if redis.call('GET', '{INDEXED}') == redis.call('GET', '{LAST_UPDATE}') then
    redis.call('SET', '{INDEXED}', now)
  end
  redis.call('SET', '{LAST_UPDATE}', now)
  for _, event in ipairs(events) do
    redis.call('PUBLISH', '{EVENTS}', event)
  end
end
"""
