-- Pause a queue, or all of them. A pause that is there already is over from then on.
--
-- KEYS[1]: pauses by queue, KEYS[2]: pauses that are over
-- ARGV[1]: the queue, or `*`, ARGV[2]: the pause as JSON, ARGV[3]: channel of events,
-- ARGV[4]: event, ARGV[5]: how many spans of earlier pauses are kept
-- Returns 1

-- include: pauses
-- include: past_pauses

local paused, pauses, queue = KEYS[1], KEYS[2], ARGV[1]
local pause = cjson.decode(ARGV[2])
local before = pause_from(redis.call('HGET', paused, queue))

if before then
  -- What came due during it, and was to be skipped, is not settled perhaps.
  local ended = end_of(before, epoch(pause.at))
  local earlier = before.earlier or {}
  if before.missed == 'skip' then
    earlier[#earlier + 1] = {before.at, ended or pause.at}
    if #earlier > tonumber(ARGV[5]) then table.remove(earlier, 1) end
  end
  pause.earlier = earlier[1] and earlier or nil
  if not ended then before.ended, before.ended_by, before.replaced = pause.at, pause.by, true end
end
redis.call('HSET', paused, queue, cjson.encode(pause))
if before then enter_past(pauses, queue, before) end
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 1
