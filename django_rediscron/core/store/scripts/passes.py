"""Passes of the scheduler."""

from __future__ import annotations

from ...dispatch.fingerprint import LONGEST, MARKS, SEPARATOR
from ..keys import DISABLED, ERRORS, INDEX, JOB_PREFIX
from .overlap import OVERLAP
from .refusals import REFUSALS

DUE = f"""
-- ARGV: lowest score, highest score, how many members to return at the most.
-- Returns a JSON list of members and scores in turn, oldest first.
local limit = {{'LIMIT', 0, ARGV[3]}}
local due = redis.call('ZRANGEBYSCORE', '{INDEX}', ARGV[1], ARGV[2], 'WITHSCORES', unpack(limit))
if not due[1] then return '[]' end
return cjson.encode(due)
"""

DISPATCH = (
    REFUSALS
    + OVERLAP
    + f"""
-- One batch of a pass. Occurrences: for each its RQ job, the schedule's new times, its place in the
-- index and its history. Corrections: recorded errors and places in the index.
--
-- KEYS[1]: the lock
-- ARGV[1]: the token that must hold it, ARGV[2]: its TTL in ms, ARGV[3]: longest history,
-- ARGV[4]: TTL of a history in seconds, ARGV[5]: time for the history
-- ARGV[6]: msgpack list of three lists:
--   shapes of RQ jobs: start of the key, TTL (0: none), queue key ('' not to push), key of the set
--     of queues, 1 to push to the front, count of variable fields, field/value list that begins
--     with these and ends with the id of the schedule and the time of the occurrence
--   occurrences, the items of all in one row, which takes less time to unpack. Of each: id,
--     next_enqueue_time as read ('' for a missing field), new latest ('' where it is the next one
--     as read) and next_enqueue_time, place in the index, 1 to delete the last error, id of the RQ
--     job, index of its shape, 1 to tidy the history up; the hash as read: places of next and
--     latest time among its items, and all others as one text ('' where another occurrence of the
--     schedule goes before it), or else revision, time of the last change, and 0; values of the
--     variable fields..., and 0 or, where the schedule has options for it, a list: records of what
--     was skipped before, overlap ('' to allow it), record for the case that it overlaps, most runs
--     ('' for any number), and where its queue's class enqueues the RQ job, the commands for that
--   corrections: id, list of the hash as read, in the same way, and the next_enqueue_time (an empty
--     list: it was no hash), field/value list to set, place in the index ('' to take it out: it
--     waits for nothing), 1 to list it among the errors, records of what was skipped, 1 if nothing
--     is left to run
-- Where a next_enqueue_time is '', the schedule is finished: nothing is left to run.
-- ARGV[7]: the time as UTC text
-- Returns false where the token does not hold the lock and nothing was done; else a text with a
-- character for each occurrence, then for each correction: 1 done; f done, and the history is
-- nearly full: tidy it up next time; s skipped, because an earlier run had not ended; left alone:
-- 0 it was changed meanwhile, h its history is no sorted set, q its queue is no list, r a write was
-- refused. Behind them a line for each r: what Redis said.
local call, try = redis.call, redis.pcall
if call('GET', KEYS[1]) ~= ARGV[1] then return false end
-- Where Redis takes no writes at all (out of memory, read-only, too few replicas), it refuses the
-- first one, which changes nothing. What it refuses later belongs to the schedule that it hits.
call('ZADD', '{INDEX}', 'XX', 0, '')
call('PEXPIRE', KEYS[1], ARGV[2])
local history_limit, history_ttl, moment = tonumber(ARGV[3]), ARGV[4], ARGV[5]
local finished = {{}}
local shapes, occurrences, corrections = unpack(cmsgpack.unpack(ARGV[6]))
local done, places, placed = {{}}, {{}}, 0
for _, shape in ipairs(shapes) do shape.pushed, shape.count = {{}}, 0 end

local function put(id, place)
  places[placed + 1], places[placed + 2] = place, id
  placed = placed + 2
end

-- Ids of which an occurrence was written in this call.
local moved = {{}}

-- Whether a hash says what it said: the next time at one place, any latest one at another (0: it
-- has none), and the text of all names and other values, or its SHA-1; or, with 0 for the text, its
-- next time and the marks of an edit.
local function unchanged(key, id, next_at, latest_at, text, following)
  if text == '' then
    return moved[id] and call('HGET', key, 'next_enqueue_time') == following
  end
  if text == 0 then
    local revision, changed_at = next_at, latest_at
    local stored = try('HMGET', key, 'next_enqueue_time', {", ".join(map(repr, MARKS))})
    if stored.err and not is_wrong_type(stored) then error(stored) end
    if stored.err or (stored[1] or '') ~= following or (stored[2] or '') ~= revision then
      return false
    end
    local found = stored[3]
    if not found or found == '' then found = stored[4] or '' end
    if found ~= changed_at then return false end
    -- Nothing at all also stands in a hash that was deleted meanwhile.
    return following ~= '' or changed_at ~= '' or revision ~= '' or call('EXISTS', key) == 1
  end
  local stored = try('HGETALL', key)
  if stored.err and not is_wrong_type(stored) then error(stored) end
  if not stored[1] or latest_at > #stored or (stored[next_at] or '') ~= following then
    return false
  end
  stored[next_at], stored[latest_at] = '', ''
  local found = table.concat(stored, {SEPARATOR!r})
  if #found > {LONGEST} then
    found = redis.sha1hex(found)
  elseif found == '' then
    found = {SEPARATOR!r}
  end
  return found == text
end

local function heal(key, id)
  call('HDEL', key, 'last_error', 'last_error_at')
  try('ZREM', '{ERRORS}', id)
end

-- The schedule's next time, or that it has none any more, and other fields.
local function move_on(key, id, following, place, ...)
  if following ~= '' then
    call('HSET', key, 'next_enqueue_time', following, ...)
    put(id, place)
  else
    try_deletions(key)
    call('HSET', key, 'finished_at', ARGV[7], ...)
    call('HDEL', key, 'next_enqueue_time')
    try('ZADD', '{DISABLED}', moment, id)
    call('ZREM', '{INDEX}', id)
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
  return entries > history_limit * 0.9 and 'f' or '1'
end

-- Where a job was entered whose schedule may not have been written.
local entered_in, entered_id

-- Whether the first job of a shape could be written; else `refused` of the shape says why not.
local function begin(shape, job, job_id)
  local ok, reason = pcall(write_first, shape, job, job_id, shape[7])
  shape.refused = not ok and (type(reason) == 'table' and reason or {{err = tostring(reason)}})
  if not ok then take_back() end
  return ok
end

-- That of which the items stand behind the first `at` of all.
local function occur(at)
  local id, due, latest, following, place, is_failed, job_id, shape, tidy, next_at, latest_at, text
    = unpack(occurrences, at + 1, at + 12)
  shape = shapes[shape]
  local key = '{JOB_PREFIX}' .. id
  local history = key .. ':jobs'
  if not unchanged(key, id, next_at, latest_at, text, due) then
    -- Our own write, whose reply was lost, so that the client sent it again?
    return type(try('ZSCORE', history, job_id)) == 'string' and '1' or '0'
  end
  if is_failed == 1 then try_deletions(key) end
  if latest == '' then latest = due end
  local policy = occurrences[at + 13 + shape[6]]
  local most_runs = ''
  if policy ~= 0 then
    local records, overlap, overlapping
    records, overlap, overlapping, most_runs = unpack(policy)
    local waiting_only = overlap == 'queue_one'
    if overlap ~= '' and overlaps(history, shape[1], shape[3], waiting_only, moment) then
      records[#records + 1] = overlapping
      record(id, records)
      move_on(key, id, following, place)
      if is_failed == 1 then heal(key, id) end
      moved[id] = true
      return 's'
    end
  end
  local fields, job = shape[7], shape[1] .. job_id
  for i = 1, shape[6] do fields[2 * i] = occurrences[at + 12 + i] end
  fields[#fields - 2], fields[#fields] = id, latest
  local commands = policy ~= 0 and policy[5]
  if commands then send(commands, job, shape[3], job_id) end
  local is_first = not commands and shape.refused == nil and begin(shape, job, job_id)
  if shape.refused then
    if is_wrong_type(shape.refused) then return 'q' end
    error(shape.refused)
  end
  local entered = try('ZADD', history, moment, job_id)
  if type(entered) ~= 'number' then
    if not is_wrong_type(entered) then error(entered) end
    take_back()
    return 'h'
  end
  entered_in, entered_id = history, job_id
  local outcome = tidy == 1 and tidy_up(history) or '1'
  if policy == 0 then
    call('HSET', key, 'latest_enqueue_time', latest, 'next_enqueue_time', following)
    put(id, place)
  else
    record(id, policy[1])
    local others = {{'latest_enqueue_time', latest}}
    if most_runs ~= '' then
      local runs = (tonumber(call('HGET', key, 'runs') or '') or 0) + 1
      if runs >= tonumber(most_runs) then following = '' end
      others[3], others[4] = 'runs', runs
    end
    move_on(key, id, following, place, unpack(others))
    created[job_id], moved[id] = true, true
  end
  entered_in = nil
  -- From here on nothing can be refused.
  if not is_first and not commands then
    call('HSET', job, unpack(fields))
    if shape[2] > 0 then call('EXPIRE', job, shape[2]) end
  end
  if not commands and (not is_first or shape[5] == 1) then
    shape.count = shape.count + 1
    shape.pushed[shape.count] = job_id
  end
  if is_failed == 1 then heal(key, id) end
  return outcome
end

local function correct(item)
  local id, seen, set, place, failed, records, is_finished = unpack(item)
  local key = '{JOB_PREFIX}' .. id
  if not seen[1] then
    if try('HGETALL', key)[1] then return '0' end
  elseif not unchanged(key, id, unpack(seen)) then
    return '0'
  end
  record(id, records)
  if is_finished == 1 then
    move_on(key, id, '')
    return '1'
  end
  if failed == 1 then try('ZADD', '{ERRORS}', moment, id) end
  if set[1] then call('HSET', key, unpack(set)) end
  if place ~= '' then
    put(id, place)
  else
    try('ZADD', '{DISABLED}', call('ZSCORE', '{INDEX}', id) or 0, id)
    call('ZREM', '{INDEX}', id)
  end
  return '1'
end

local at, number, corrected = 0, 0, 0
local function settle()
  while occurrences[at + 1] do
    done[number + 1] = occur(at)
    number, at = number + 1, at + 13 + shapes[occurrences[at + 8]][6]
    if undo[1] then undo = {{}} end
  end
  while corrections[corrected + 1] do
    done[number + 1] = correct(corrections[corrected + 1])
    number, corrected = number + 1, corrected + 1
    if undo[1] then undo = {{}} end
  end
end

-- The one in hand is left as it was; but an error that cannot be written waits all the same.
local reasons = {{}}
local function refuse(reason)
  if entered_in then try('ZREM', entered_in, entered_id) end
  entered_in = nil
  take_back()
  local outcome = 'r'
  if occurrences[at + 1] then
    at = at + 13 + shapes[occurrences[at + 8]][6]
  else
    corrected = corrected + 1
    local id, _, _, place, failed = unpack(corrections[corrected])
    if failed == 1 then
      put(id, place)
      outcome = '1'
    end
  end
  if outcome == 'r' then
    reason = type(reason) == 'table' and reason.err or tostring(reason)
    reasons[#reasons + 1] = '\\n' .. string.gsub(reason, '%c', ' ')
  end
  number = number + 1
  done[number] = outcome
end

repeat
  local ok, reason = pcall(settle)
  if not ok then refuse(reason) end
until ok

for _, shape in ipairs(shapes) do
  local pushed = shape.pushed
  if shape[3] ~= '' and pushed[1] then
    if shape[5] == 1 then
      -- The last one pushed comes first, and that shall be the oldest.
      local oldest_last = {{}}
      for i = #pushed, 1, -1 do oldest_last[#oldest_last + 1] = pushed[i] end
      call('LPUSH', shape[3], unpack(oldest_last))
    else
      call('RPUSH', shape[3], unpack(pushed))
    end
  end
  if shape[3] ~= '' and shape.refused == false then try('SADD', shape[4], shape[3]) end
end
if next(finished) then
  local waiting = {{}}
  for i = 1, #places, 2 do
    if not finished[places[i + 1]] then
      waiting[#waiting + 1] = places[i]
      waiting[#waiting + 1] = places[i + 1]
    end
  end
  places = waiting
end
if places[1] then call('ZADD', '{INDEX}', unpack(places)) end
return table.concat(done) .. table.concat(reasons)
"""
)
