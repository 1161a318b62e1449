-- Seconds by which an occurrence is delayed: the twin of `occurrence_delay` in Python.
local function jitter_delay(id, text, jitter)
  jitter = tonumber(jitter)
  if not (jitter and jitter > 0 and jitter < math.huge) then return 0 end
  local part = string.sub(redis.sha1hex(id .. ' ' .. text), 1, 8)
  return tonumber(part, 16) / 4294967296 * jitter
end
