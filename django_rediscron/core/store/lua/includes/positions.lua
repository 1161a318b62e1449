-- How far each receiver has been told, in a hash beside the stream: `ID NUMBER TIME`, the id of the
-- last entry and its number, and when this was written. The field '' counts all that was entered.

-- ID and NUMBER of a position, and TIME as a number.
local function parts_of(position)
  local place, time = string.match(position or '', '^(%S+ %d+) (%S+)$')
  return place, tonumber(time)
end
