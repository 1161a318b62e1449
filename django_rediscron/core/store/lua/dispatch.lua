-- One batch of a pass. Occurrences: for each its RQ job, the schedule's new times, its score in the
-- index and its history. Corrections: recorded errors and scores in the index.
--
-- KEYS[1]: the lock, KEYS[2]: the index. Not the hashes of the schedules: Redis refuses a script
--   that declares a key which its user may not write, and one such schedule must not stop others.
-- ARGV[1]: the token that must hold the lock, ARGV[2]: its TTL in ms, ARGV[3]: longest history,
-- ARGV[4]: TTL of a history in seconds, ARGV[5]: time for the history
-- ARGV[6]: msgpack list of three lists:
--   fields that RQ jobs share: start of the key, TTL (0: none), queue key ('' not to push), key of
--     the set of queues, 1 to push to the front, count of variable fields, terms of their entries
--     in IN_FLIGHT, name of the queue, field/value list that begins with the variable ones and ends
--     with the id of the schedule and the time of the occurrence
--   occurrences, the items of all in one row, which takes less time to unpack. Of each: id,
--     next_enqueue_time as read ('' for a missing field), new latest ('' if it is the next one
--     as read) and next_enqueue_time, score in the index, 1 to delete the last error, id of the RQ
--     job, number of its shared fields, 1 to tidy the history up; the hash as read: positions of
--     next and latest time among its items, their number, all others as one text ('' if another
--     occurrence of the schedule precedes it), or else revision, time of the last change, 0 and
--     0; values of the variable fields..., and 0 or, if the schedule has options for it, a list:
--     records of skips before it, overlap ('' to allow it), the record to write if it overlaps,
--     max_runs ('' for no limit), and if its queue's class enqueues the RQ job, the commands
--     for that
--   corrections: id, list of the hash as read, in the same way, and the next_enqueue_time (an empty
--     list: it was no hash), field/value list to set, score in the index ('' to take it out),
--     1 to list it among the errors, records of skips, or of the error if it is the first one since
--     the schedule was enqueued or changed, 1 if the schedule is finished
-- If a next_enqueue_time is '', the schedule is finished: nothing is left to run.
-- ARGV[7]: the time as UTC text, ARGV[8]: how many records of skips are kept
-- ARGV[9]: '' or, if schedules are late, a msgpack list with the items of all in one row. Of each:
--   number of the outcome of its oldest occurrence, among all outcomes, id, nominal time of that
--   occurrence, epoch seconds at which it was due, seconds by which it is late, why it was skipped
--   as JSON ('' if it was not)
-- Returns false if the token does not hold the lock and nothing was done; otherwise a text with a
--   character for each occurrence, then for each correction: WRITTEN; NEARLY_FULL: written, tidy
--   the history up next time; OVERLAPPED: skipped, because an earlier run had not ended; not
--   written: CHANGED meanwhile, BAD_HISTORY: not a sorted set, BAD_QUEUE: not a list, REFUSED by
--   Redis, PAUSED. They are followed by a line for each of the last two kinds: Redis's error, or
--   the pause as JSON.

local call, try = redis.call, redis.pcall
local INDEX = KEYS[2]
if call('GET', KEYS[1]) ~= ARGV[1] then return false end
-- If Redis takes no writes at all (out of memory, read-only, too few replicas), it refuses the
-- first one, which changes nothing. What it refuses later belongs to the schedule that it hits.
call('ZADD', INDEX, 'XX', 0, '')
call('PEXPIRE', KEYS[1], ARGV[2])

local SKIPS_KEPT = tonumber(ARGV[8])

-- include: refusals
-- include: notify
-- include: overlap
-- include: unchanged
-- include: late
-- include: paused

local history_limit, history_ttl, moment = tonumber(ARGV[3]), ARGV[4], ARGV[5]
local finished = {}
local shared_fields, occurrences, corrections = unpack(cmsgpack.unpack(ARGV[6]))
local SHARED_FIELDS = 8 -- the position of their number among the items of an occurrence
local outcomes, scores, scored = {}, {}, 0
local in_flight, flown = {}, 0
local lines = {} -- behind the outcomes
for _, shared in ipairs(shared_fields) do
  shared.prefix, shared.ttl, shared.queue, shared.queues = unpack(shared)
  shared.at_front, shared.variable, shared.terms, shared.name, shared.fields = unpack(shared, 5)
  shared.terms = ' ' .. moment .. ' ' .. shared.terms .. ' '
  shared.pushed, shared.count = {}, 0
  shared.pauses = pauses_of(shared.name)
end

local function put(id, score)
  scores[scored + 1], scores[scored + 2] = score, id
  scored = scored + 2
end

local function heal(key, id)
  call('HDEL', key, 'last_error', 'last_error_at')
  try('ZREM', ERRORS, id)
end

-- Write the schedule's next time, or that it is finished, and other fields.
local function move_on(key, id, following, score, ...)
  if following ~= '' then
    call('HSET', key, 'next_enqueue_time', following, ...)
    put(id, score)
  else
    try_deletions(key)
    call('HSET', key, 'finished_at', ARGV[7], ...)
    call('HDEL', key, 'next_enqueue_time')
    try('ZADD', DISABLED, moment, id)
    call('ZREM', INDEX, id)
    finished[id] = true
  end
end

-- A history in which a job was entered is kept short, and its TTL long.
local function tidy_up(history)
  local entries = call('ZCARD', history)
  if entries > history_limit then
    call('ZREMRANGEBYRANK', history, 0, entries - history_limit - 1)
  end
  call('EXPIRE', history, history_ttl)
  return entries > history_limit * 0.9 and NEARLY_FULL or WRITTEN
end

-- The history and the id of a job that was entered while its schedule may not be written yet.
local entered_in, entered_id

-- Whether the first job with these shared fields could be written; else `shared.refused` says why.
local function begin(shared, job, job_id)
  local ok, reason = pcall(write_first, shared, job, job_id)
  shared.refused = not ok and (type(reason) == 'table' and reason or {err = tostring(reason)})
  if not ok then take_back() end
  return ok
end

-- Whether an occurrence is skipped, because an earlier run has not ended.
local function is_skipped(policy, id, key, history, shared, following, score, is_failed)
  local records, overlap, overlapping = unpack(policy)
  if overlap == '' then return false end
  local waiting_only = overlap == 'queue_one'
  if not overlaps(history, shared.prefix, shared.queue, waiting_only, moment) then return false end
  records[#records + 1] = overlapping
  record(id, records)
  move_on(key, id, following, score)
  if is_failed == 1 then heal(key, id) end
  moved[id] = true
  return true
end

-- What an occurrence of a schedule with options changes of it.
local function move_on_by_policy(policy, id, key, latest, following, score, job_id)
  record(id, policy[1])
  local fields, most_runs = {'latest_enqueue_time', latest}, policy[4]
  if most_runs ~= '' then
    local runs = (tonumber(call('HGET', key, 'runs') or '') or 0) + 1
    if runs >= tonumber(most_runs) then following = '' end
    fields[3], fields[4] = 'runs', runs
  end
  move_on(key, id, following, score, unpack(fields))
  created[job_id], moved[id] = true, true
end

-- Of an occurrence whose RQ job, or its entry in the history, was refused: the outcome if the key
-- is of the wrong type; else it raises the error.
local function refused(reply, outcome)
  if not is_wrong_type(reply) then error(reply) end
  take_back()
  return outcome
end

-- Whether it is our own write, whose reply was lost.
local function is_sent_again(history, job_id)
  return type(try('ZSCORE', history, job_id)) == 'string'
end

-- That of which the items stand behind the first `at` of all.
local function occur(at)
  local id, due, latest, following, score, is_failed, job_id, shared, tidy, next_at, latest_at,
        length, text = unpack(occurrences, at + 1, at + OCCURRENCE_LENGTH - 1)
  shared = shared_fields[shared]
  local key = JOB_PREFIX .. id
  local history = key .. HISTORY_SUFFIX
  if not unchanged(key, id, next_at, latest_at, length, text, due) then
    return is_sent_again(history, job_id) and WRITTEN or CHANGED
  end
  if latest == '' then latest = due end
  if shared.pauses and is_paused(shared.pauses, id, key, due, latest, lines) then return PAUSED end
  if is_failed == 1 then try_deletions(key) end
  local policy = occurrences[at + OCCURRENCE_LENGTH + shared.variable]
  if policy ~= 0 and is_skipped(policy, id, key, history, shared, following, score, is_failed) then
    return OVERLAPPED
  end
  local fields, job = shared.fields, shared.prefix .. job_id
  for i = 1, shared.variable do fields[2 * i] = occurrences[at + OCCURRENCE_LENGTH - 1 + i] end
  fields[#fields - 2], fields[#fields] = id, latest
  local commands = policy ~= 0 and policy[5]
  if commands then send(commands, job, shared.queue, job_id) end
  local is_first = not commands and shared.refused == nil and begin(shared, job, job_id)
  if shared.refused then return refused(shared.refused, BAD_QUEUE) end
  local entered = try('ZADD', history, moment, job_id)
  if type(entered) ~= 'number' then return refused(entered, BAD_HISTORY) end
  entered_in, entered_id = history, job_id
  local outcome = tidy == 1 and tidy_up(history) or WRITTEN
  if policy == 0 then
    call('HSET', key, 'latest_enqueue_time', latest, 'next_enqueue_time', following)
    put(id, score)
  else
    move_on_by_policy(policy, id, key, latest, following, score, job_id)
  end
  entered_in = nil
  -- From here on nothing can be refused.
  if not commands and not is_first then
    call('HSET', job, unpack(fields))
    if shared.ttl > 0 then call('EXPIRE', job, shared.ttl) end
  end
  if not commands and (not is_first or shared.at_front == 1) then
    shared.count = shared.count + 1
    shared.pushed[shared.count] = job_id
  end
  if is_failed == 1 then heal(key, id) end
  local which = latest
  if due ~= latest and due ~= '' then which = latest .. '/' .. due end -- it stands for several
  in_flight[flown + 1], in_flight[flown + 2] = job_id, which .. shared.terms .. id
  flown = flown + 2
  return outcome
end

-- include: correct

local at, number, corrected = 0, 0, 0

local function settle()
  while occurrences[at + 1] do
    outcomes[number + 1] = occur(at)
    number = number + 1
    at = at + OCCURRENCE_LENGTH + shared_fields[occurrences[at + SHARED_FIELDS]].variable
    if undo[1] then undo = {} end
  end
  while corrections[corrected + 1] do
    outcomes[number + 1] = correct(corrections[corrected + 1])
    number, corrected = number + 1, corrected + 1
    if undo[1] then undo = {} end
  end
end

-- The one in hand is left as it was; but an error that cannot be written waits all the same.
local function refuse(reason)
  if entered_in then try('ZREM', entered_in, entered_id) end
  entered_in = nil
  take_back()
  local outcome = REFUSED
  if occurrences[at + 1] then
    at = at + OCCURRENCE_LENGTH + shared_fields[occurrences[at + SHARED_FIELDS]].variable
  else
    corrected = corrected + 1
    local id, _, _, score, failed = unpack(corrections[corrected])
    if failed == 1 then
      put(id, score)
      outcome = WRITTEN
    end
  end
  if outcome == REFUSED then
    reason = type(reason) == 'table' and reason.err or tostring(reason)
    lines[#lines + 1] = '\n' .. string.gsub(reason, '%c', ' ')
  end
  number = number + 1
  outcomes[number] = outcome
end

local function push(shared)
  local pushed = shared.pushed
  if pushed[1] and shared.at_front == 1 then
    -- The last one pushed comes first, and that must be the oldest.
    local oldest_last = {}
    for i = #pushed, 1, -1 do oldest_last[#oldest_last + 1] = pushed[i] end
    call('LPUSH', shared.queue, unpack(oldest_last))
  elseif pushed[1] then
    call('RPUSH', shared.queue, unpack(pushed))
  end
  if shared.refused == false then try('SADD', shared.queues, shared.queue) end
end

local function without_finished()
  local waiting = {}
  for i = 1, #scores, 2 do
    if not finished[scores[i + 1]] then
      waiting[#waiting + 1] = scores[i]
      waiting[#waiting + 1] = scores[i + 1]
    end
  end
  return waiting
end

repeat
  local ok, reason = pcall(settle)
  if not ok then refuse(reason) end
until ok
for _, shared in ipairs(shared_fields) do
  if shared.queue ~= '' then push(shared) end
end
if next(finished) then scores = without_finished() end
if scores[1] then call('ZADD', INDEX, unpack(scores)) end
-- Jobs that cannot be followed run all the same.
if in_flight[1] then try('HSET', IN_FLIGHT, unpack(in_flight)) end
if ARGV[9] ~= '' then tell_late(cmsgpack.unpack(ARGV[9]), outcomes, moment) end
return table.concat(outcomes) .. table.concat(lines)
