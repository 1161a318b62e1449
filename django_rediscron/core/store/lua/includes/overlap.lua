-- Whether an earlier run of a schedule has not ended, by what RQ itself says of its jobs. Keys of
-- the wrong type hold no jobs; what may not be read at all is an error of the schedule.

-- include: read_any
-- include: alive

-- What RQ says of jobs that no worker can take yet.
local WAITING = {deferred = true, scheduled = true, rate_limited = true, ready_to_enqueue = true}

-- Jobs that this very script makes are not in their queue before it ends.
local created = {}

-- `queue`: '' if its jobs run in the scheduler's process.
local function is_listed(queue, job_id)
  if queue == '' then return false end
  for _, list in ipairs({queue, queue .. ':intermediate'}) do
    if type(read('LPOS', list, job_id)) == 'number' then return true end
  end
  return false
end

-- Whether a job that is said to be queued waits, or has just been taken by a worker.
local function is_queued(job_id, job, queue, origin, missing_since, now)
  if created[job_id] or is_listed(queue, job_id) or is_listed(QUEUE_PREFIX .. origin, job_id) then
    if missing_since ~= '' then redis.call('HDEL', job, 'missing_since') end
    return true
  end
  if is_alive(job_id, read) then return true end
  if missing_since == '' then
    redis.call('HSET', job, 'missing_since', now)
    return true
  end
  return now - (tonumber(missing_since) or 0) < MISSING
end

-- Whether one of the newest jobs of this history waits or, unless only waiting ones count, runs.
-- A job that is gone has ended, and so has one whose worker died.
local function overlaps(history, prefix, queue, waiting_only, now)
  local newest = read('ZREVRANGE', history, 0, LOOKED_AT - 1)
  for _, job_id in ipairs(newest) do
    local job = prefix .. job_id
    local said = read('HMGET', job, 'status', 'origin', 'missing_since')
    local status, origin, missing_since = said[1], said[2] or '', said[3] or ''
    if WAITING[status] then return true end
    if status == 'queued' and is_queued(job_id, job, queue, origin, missing_since, now) then
      return true
    end
    if status == 'started' and not waiting_only and is_alive(job_id, read) then return true end
  end
  return false
end
