-- Times as texts.

local MONTHS = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

-- Epoch seconds of RQ's UTC text; nil if Python would not accept it either, or if the year is not
-- permitted. Days from the civil calendar: Howard Hinnant, "chrono-Compatible Low-Level Date
-- Algorithms".
local function epoch(text)
  local pattern = '^(%d%d%d%d)-(%d%d)-(%d%d)T(%d%d):(%d%d):(%d%d)(%.?%d*)Z$'
  local y, m, d, h, mi, s, part = string.match(text or '', pattern)
  if not y then return nil end
  y, m, d, h, mi, s = tonumber(y), tonumber(m), tonumber(d), tonumber(h), tonumber(mi), tonumber(s)
  local length = MONTHS[m]
  if m == 2 and y % 4 == 0 and (y % 100 ~= 0 or y % 400 == 0) then length = 29 end
  if not length or d < 1 or d > length or h > 23 or mi > 59 or s > 59 then return nil end
  if y < FIRST_YEAR or y > LAST_YEAR then return nil end
  if part ~= '' then
    if string.sub(part, 1, 1) ~= '.' or #part < 2 or #part > 7 then return nil end
    s = s + tonumber('0' .. part)
  end
  if m <= 2 then y, m = y - 1, m + 9 else m = m - 3 end
  local era = math.floor(y / 400)
  local yoe = y - era * 400
  local doy = math.floor((153 * m + 2) / 5) + d - 1
  local days = era * 146097 + yoe * 365 + math.floor(yoe / 4) - math.floor(yoe / 100) + doy - 719468
  return days * 86400 + h * 3600 + mi * 60 + s
end
