-- Forget a pause that is over, once nothing is left that came due before its end.
--
-- KEYS[1]: the lock, KEYS[2]: pauses by queue, KEYS[3]: pauses that are over, KEYS[4]: the index,
-- KEYS[5]: schedules in error
-- ARGV[1]: the token that must hold the lock, ARGV[2]: the queue, or `*`, ARGV[3]: the pause as it
-- was read, ARGV[4]: epoch seconds, ARGV[5]: who ends a pause at its time, then of each pause
-- that was over when schedules were woken: the queue, and the pause as it was read
-- Returns false if the token does not hold the lock and nothing was done; otherwise 1 if it was
--   forgotten, else 0

-- include: pauses
-- include: past_pauses

local lock, paused, pauses, index, errors = unpack(KEYS, 1, 5)
local queue, now = ARGV[2], tonumber(ARGV[4])
if redis.call('GET', lock) ~= ARGV[1] then return false end

-- What is left in the index that is a schedule, and not a name of RQ's own cron.
local function is_due_before(moment)
  local due = redis.call('ZRANGEBYSCORE', index, '-inf', '(' .. moment)
  for _, id in ipairs(due) do
    if redis.call('EXISTS', JOB_PREFIX .. id) == 1 then return true end
  end
  -- Those in error wait for their next attempts.
  for _, id in ipairs(redis.call('ZRANGE', errors, 0, -1)) do
    local following = redis.pcall('HGET', JOB_PREFIX .. id, 'next_enqueue_time')
    local time = type(following) == 'string' and epoch(following)
    if time and time < moment then return true end
  end
  return false
end

-- Whether another pause may hold what came due before this one was over: then the index does not
-- say so.
local function may_be_held()
  local woken, all = {}, redis.call('HGETALL', paused)
  for i = 6, #ARGV, 2 do woken[ARGV[i]] = ARGV[i + 1] end
  for i = 1, #all, 2 do
    local other = woken[all[i]] ~= all[i + 1] and pause_from(all[i + 1])
    if other and other.missed ~= 'skip' then return true end
  end
  return false
end

if redis.call('HGET', paused, queue) ~= ARGV[3] then return 0 end
local pause = pause_from(ARGV[3])
local ended = pause and end_of(pause, now)
local moment = epoch(ended)
if not moment then return 0 end
local skips = pause.missed == 'skip' or pause.earlier
if skips and (may_be_held() or is_due_before(moment)) then return 0 end
if not pause.ended then pause.ended, pause.ended_by = ended, ARGV[5] end
redis.call('HDEL', paused, queue)
enter_past(pauses, queue, pause)
return 1
