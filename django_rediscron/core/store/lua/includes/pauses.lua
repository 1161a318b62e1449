-- Pauses as they are stored.

-- include: epoch

-- A pause from its text; nil if it is none.
local function pause_from(text)
  local is_read, pause = pcall(cjson.decode, text or '')
  local is_pause = is_read and type(pause) == 'table' and epoch(pause.at)
  return is_pause and pause or nil
end

-- When a pause was over, as text; nil while it is on.
local function end_of(pause, now)
  local ends = epoch(pause['until'])
  return pause.ended or (ends and ends <= now and pause['until']) or nil
end
