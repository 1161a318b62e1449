-- Who leads, in the hash REIGN, and who led, in the list REIGNS. Nothing of this may keep a
-- scheduler from leading: a key of another type, or a refusal, is let pass.

-- Move the reign of this token to the list. `till`: when it ended; by default its last heartbeat.
-- False if it is not the one in the hash.
local function close_reign(token, ending, till)
  local reign = redis.pcall('HMGET', REIGN, 'token', 'host', 'pid', 'since', 'alive')
  if reign[1] ~= token then return false end
  local entry = {token = token, host = reign[2] or nil, since = reign[4] or nil}
  entry['pid'] = tonumber(reign[3] or nil)
  entry['until'], entry['end'] = till or reign[5] or nil, ending
  redis.pcall('LPUSH', REIGNS, cjson.encode(entry))
  redis.pcall('LTRIM', REIGNS, 0, MAX_REIGNS - 1)
  redis.pcall('DEL', REIGN)
  return true
end
