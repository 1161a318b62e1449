-- End the pause of a queue, or of all.
--
-- KEYS[1]: pauses by queue
-- ARGV[1]: the queue, or `*`, ARGV[2]: the time as UTC text, ARGV[3]: by whom,
-- ARGV[4]: channel of events, ARGV[5]: event
-- Returns false if it is not paused; otherwise the pause as JSON

-- include: pauses

local paused, queue = KEYS[1], ARGV[1]
local pause = pause_from(redis.call('HGET', paused, queue))
if not pause or end_of(pause, epoch(ARGV[2])) then return false end
pause.ended, pause.ended_by = ARGV[2], ARGV[3]
local text = cjson.encode(pause)
redis.call('HSET', paused, queue, text)
redis.call('PUBLISH', ARGV[4], ARGV[5])
return text
