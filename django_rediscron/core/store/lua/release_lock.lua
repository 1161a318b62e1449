-- Give the lock up, and note what ended the reign.
--
-- KEYS[1]: the lock
-- ARGV[1]: our token, ARGV[2]: the time, as UTC text
-- Returns 1, or 0 if the lock is not ours.

-- include: reigns

-- How many of the latest reigns are searched for one that a successor closed.
local SEARCHED = 100

-- A successor may have taken us for dead.
local function note_loss(token)
  if close_reign(token, 'lock lost') then return end
  for place, text in ipairs(redis.pcall('LRANGE', REIGNS, 0, SEARCHED - 1)) do
    local readable, entry = pcall(cjson.decode, text)
    if readable and type(entry) == 'table' and entry.token == token then
      -- Else it stopped, and this is the same call again.
      if entry['end'] == 'died' then
        entry['end'] = 'lock lost'
        redis.pcall('LSET', REIGNS, place - 1, cjson.encode(entry))
      end
      return
    end
  end
end

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  note_loss(ARGV[1])
  return 0
end
local released = redis.call('DEL', KEYS[1])
close_reign(ARGV[1], 'stopped', ARGV[2])
return released
