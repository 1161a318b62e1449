-- include: epoch

-- Whether it is a time that a schedule may wait for.
local function sound(text, now)
  local at = epoch(text)
  return at and at - now <= MAX_WAIT
end
