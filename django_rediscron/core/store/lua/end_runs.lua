-- Record runs that have ended, disable schedules that failed too often, and enter what receivers
-- are to be told of that. Each run is recorded by whoever takes its job out of those in flight, so
-- that it counts and is told once, also if this is sent again or a leader that froze comes late.
--
-- KEYS: those of `changes`, then the lock and the hash of the jobs in flight
-- ARGV[1]: the token that must hold the lock, ARGV[2]: how many runs of a schedule are kept,
-- ARGV[3]: TTL of their records in seconds
-- ARGV[4]: JSON list, for each run, the first ended first: id of its job, id of its schedule, how
--   it ended, when as UTC text, its record, its max_runtime if it is to be told that it took
--   longer, else an empty text; its queue ('' if unknown), the field that counts how long it took
--   ('' if unknown), microseconds that it took
-- ARGV[5]: epoch seconds, ARGV[6]: the same as UTC text, ARGV[7]: the actor
-- Returns false if the token does not hold the lock and nothing was done; otherwise a JSON list:
--   how many were recorded; of each schedule that was disabled its id and its failures in a row.

-- include: failing
-- include: notify

local call, lock, in_flight = redis.call, unpack(hashes)
if call('GET', lock) ~= ARGV[1] then return false end

local runs_kept, ttl, recorded, disabled = tonumber(ARGV[2]), ARGV[3], 0, {}

-- Makes room if the key holds something else. Raises an error if it may not be written, before
-- anything is.
local function prepare(key, ...)
  local reply = redis.pcall(...)
  if type(reply) ~= 'table' or not reply.err then return end
  if not string.find(reply.err, 'WRONGTYPE', 1, true) then error(reply) end
  call('DEL', key)
end

local function keep(id, record)
  local key = RUNS_PREFIX .. id
  if runs_kept == 0 then
    call('DEL', key)
    return
  end
  call('LPUSH', key, record)
  call('LTRIM', key, 0, runs_kept - 1)
  call('EXPIRE', key, ttl)
end

-- Runs may be seen in another order than they ended: one that ended before the latest success does
-- not count as a failure after it, nor does one before the latest failure end a row of failures.
-- Returns the failures in a row if it is one more, or those that it ended.
local function count(id, status, ended_at)
  local key = OUTCOMES_PREFIX .. id
  call('HINCRBY', key, status, 1)
  local known = call('HMGET', key, 'last_success', 'last_failure', 'failures')
  local success, failure, failures, before = known[1] or '', known[2] or '', nil, nil
  if status == 'finished' then
    if ended_at > success then call('HSET', key, 'last_success', ended_at) end
    if ended_at >= failure and call('HDEL', key, 'failures') == 1 then before = known[3] end
  elseif status == 'failed' then
    if ended_at > failure then call('HSET', key, 'last_failure', ended_at) end
    if ended_at >= success then failures = call('HINCRBY', key, 'failures', 1) end
  end
  call('EXPIRE', key, ttl)
  return failures, before
end

-- `failures`: those in a row with this one, nil if it did not fail after the latest success.
-- `before`: those in a row that it ended.
local function tell(id, status, record, limit, failures, before)
  if limit ~= '' then
    notify(ALARMS, 'run_too_long', id, 'run', record, 'max_runtime', limit)
  end
  if status == 'failed' then
    notify(ALARMS, 'run_failed', id, 'run', record, 'failures', failures or 1)
  elseif status == 'unknown' then
    notify(ALARMS, 'run_unknown', id, 'run', record)
  elseif before then
    notify(ALARMS, 'run_recovered', id, 'run', record, 'failures', before)
  end
  notify(PROGRESS, 'run_ended', id, 'run', record)
end

local sums = {}

-- Count for ever, of the schedule and in sum.
local function add(id, field, number)
  redis.pcall('HINCRBY', OUTCOMES_PREFIX .. id, field, number)
  sums[field] = (sums[field] or 0) + number
end

local function count_for_ever(id, status, queue, took, microseconds)
  if queue == '' then
    local name = redis.pcall('HGET', JOB_PREFIX .. id, 'queue_name')
    queue = type(name) == 'string' and name or ''
  end
  add(id, status .. ' ' .. queue, 1)
  if took == '' then return end
  add(id, took, 1)
  add(id, 'run microseconds', microseconds)
end

for _, run in ipairs(cjson.decode(ARGV[4])) do
  local job_id, id, status, ended_at, record, limit, queue, took, microseconds = unpack(run)
  prepare(RUNS_PREFIX .. id, 'LTRIM', RUNS_PREFIX .. id, 0, -1)
  prepare(OUTCOMES_PREFIX .. id, 'HDEL', OUTCOMES_PREFIX .. id, '')
  if call('HDEL', in_flight, job_id) == 1 then
    recorded = recorded + 1
    keep(id, record)
    count_for_ever(id, status, queue, took, microseconds)
    local failures, before = count(id, status, ended_at)
    tell(id, status, record, limit, failures, before)
    failures = failures and disable_if_failing(id, failures, ARGV[5], ARGV[6], ARGV[7])
    if failures then
      disabled[#disabled + 1] = {id, failures}
      notify(ALARMS, 'schedule_disabled', id, 'run', record, 'failures', failures)
    end
  end
end
for field, number in pairs(sums) do redis.pcall('HINCRBY', COUNTS, field, number) end
return cjson.encode({recorded, disabled})
