"""The Lua scripts: what Redis does in one step.

Redis runs a script alone and whole, so each of these is one transaction. A refusal of writes
(out of memory, read-only, no replicas) comes with the first write, before anything is changed;
therefore no script may write before it has read and judged all that it needs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from redis import Redis
from redis.client import NEVER_DECODE
from redis.exceptions import NoScriptError

from .keys import (
    DISABLED,
    ERRORS,
    EVENTS,
    FINGERPRINT_FIELDS,
    HISTORY_SUFFIX,
    INDEX,
    INDEXED,
    JOB_PREFIX,
    LAST_UPDATE,
    TIMING_FIELDS,
)


def run_script(
    connection: Redis, script: str, keys: Sequence[Any], arguments: Sequence[Any]
) -> Any:
    """Run a script that the server may know already; texts come back as bytes.

    They do so even where the client decodes replies: what stands in Redis need not be text.
    """
    rest = (len(keys), *keys, *arguments)
    run: Callable[..., Any] = connection.execute_command
    try:
        return run("EVALSHA", _digest(script), *rest, **{NEVER_DECODE: True})
    except NoScriptError:
        return run("EVAL", script, *rest, **{NEVER_DECODE: True})


@cache
def _digest(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


_EPOCH = """
-- Epoch seconds of RQ's UTC text, nil where it is none. Days from the civil calendar: Howard
-- Hinnant, "chrono-Compatible Low-Level Date Algorithms".
local function epoch(text)
  local y, m, d, h, mi, s = string.match(text or '', '^(%d%d%d%d)-(%d%d)-(%d%d)T(%d%d):(%d%d):(%d%d%.?%d*)Z$')
  if not y then return nil end
  y, m = tonumber(y), tonumber(m)
  if m <= 2 then y, m = y - 1, m + 9 else m = m - 3 end
  local era = math.floor(y / 400)
  local yoe = y - era * 400
  local doy = math.floor((153 * m + 2) / 5) + d - 1
  local days = era * 146097 + yoe * 365 + math.floor(yoe / 4) - math.floor(yoe / 100) + doy - 719468
  return days * 86400 + h * 3600 + mi * 60 + s
end
"""

_CHANGED = f"""
-- Tell everybody that definitions changed. INDEXED follows LAST_UPDATE unless somebody who does
-- not keep our indexes changed something in between.
local function announce(now, events)
  if redis.call('GET', '{INDEXED}') == redis.call('GET', '{LAST_UPDATE}') then
    redis.call('SET', '{INDEXED}', now)
  end
  redis.call('SET', '{LAST_UPDATE}', now)
  for _, event in ipairs(events) do
    redis.call('PUBLISH', '{EVENTS}', event)
  end
end
"""

SAVE = (
    _EPOCH
    + _CHANGED
    + f"""
-- Write definitions, place them in the indexes, announce them.
--
-- KEYS: the hashes of the schedules
-- ARGV[1]: epoch seconds, ARGV[2]: the same as UTC text
-- ARGV[3]: JSON list, for each hash:
--   id, event ('' for created or updated as it turns out)
--   create: whether it may be created, or replaced where it is no hash
--   fields: definition fields to write (for a new one: all of them), unset: fields to delete
--   times: latest_enqueue_time, next_enqueue_time to move forward to, where given
--   fresh, ran: the next enqueue time, computed now, of a schedule that never ran, and of one that
--     did; computed from: timing (the timing fields after the write) and latest (enqueue time);
--     false instead of timing: use them whatever stands there
-- Returns for each: {{'missing'}},
--   {{'stale', latest_enqueue_time, 1 if the timing fields change else 0, timing fields...}}
--   where the times must be computed anew from these and nothing was written, or
--   {{'ok', event, revision, created_at, latest_enqueue_time, next_enqueue_time, enabled}}.
-- With ARGV[4] == 'raise', a missing schedule is an error reply, before anything is written.
local now, now_text = ARGV[1], ARGV[2]
local replies, events = {{}}, {{}}
local timing_fields = {{{", ".join(repr(f) for f in TIMING_FIELDS)}}}

local function save(key, change)
  local kind = redis.call('TYPE', key).ok
  local exists = kind == 'hash'
  if not exists and not change.create then return {{'missing'}} end
  local stored = {{}}
  if exists then
    local names = {{'enabled', 'created_at', 'latest_enqueue_time', 'next_enqueue_time', 'last_error', unpack(timing_fields)}}
    local values = redis.call('HMGET', key, unpack(names))
    for i, name in ipairs(names) do stored[name] = values[i] or '' end
  end
  local fields = change.fields
  local enabled = fields.enabled or (stored.enabled == '0' and '0' or '1')
  local retime = enabled == '1' and stored.enabled == '0'
  local latest, following = stored.latest_enqueue_time or '', stored.next_enqueue_time or ''
  local current, changed, expected = {{}}, 0, not change.timing or not epoch(latest) or latest == change.latest
  for i, name in ipairs(timing_fields) do
    current[i] = fields[name] or stored[name] or ''
    if current[i] ~= stored[name] then changed, retime = 1, true end
    if change.timing and change.timing[i] ~= current[i] then expected = false end
  end
  local wanted_latest, wanted_next = change.times.latest_enqueue_time, change.times.next_enqueue_time
  if wanted_latest and wanted_latest > latest then latest = wanted_latest end
  if not epoch(following) then retime = true end
  local explicit = wanted_next and (retime or wanted_next > following)
  if retime and not explicit and not expected then
    return {{'stale', latest, changed, unpack(current)}}
  end

  local turn
  if explicit then
    following = wanted_next
  elseif retime then
    following = epoch(latest) and change.ran or change.fresh
  elseif stored.last_error == '' then
    turn = redis.call('ZSCORE', '{INDEX}', change.id)
  end
  turn = turn or string.format('%.6f', epoch(following))

  if kind ~= 'hash' and kind ~= 'none' then redis.call('DEL', key) end
  local pairs_ = {{'id', change.id, 'updated_at', now_text, 'enabled', enabled,
                  'latest_enqueue_time', latest, 'next_enqueue_time', following}}
  for name, value in pairs(fields) do
    if name ~= 'enabled' and name ~= 'created_at' then
      pairs_[#pairs_ + 1] = name
      pairs_[#pairs_ + 1] = value
    end
  end
  local created_at = stored.created_at
  if not epoch(created_at) then
    created_at = fields.created_at or now_text
    pairs_[#pairs_ + 1] = 'created_at'
    pairs_[#pairs_ + 1] = created_at
  end
  redis.call('HSET', key, unpack(pairs_))
  redis.call('HDEL', key, 'last_error', 'last_error_at', unpack(change.unset))
  redis.call('ZREM', '{ERRORS}', change.id)
  local counted = redis.pcall('HINCRBY', key, 'revision', 1)
  if type(counted) ~= 'number' then
    counted = 1
    redis.call('HSET', key, 'revision', 1)
  end
  if enabled == '1' then
    redis.call('ZADD', '{INDEX}', turn, change.id)
    redis.call('ZREM', '{DISABLED}', change.id)
  else
    redis.call('ZADD', '{DISABLED}', now, change.id)
    redis.call('ZREM', '{INDEX}', change.id)
  end
  local event = change.event
  if event == '' then event = exists and 'updated' or 'created' end
  events[#events + 1] = cjson.encode({{event = event, job_id = change.id}})
  return {{'ok', event, counted, created_at, latest, following, enabled}}
end

for i, change in ipairs(cjson.decode(ARGV[3])) do
  replies[i] = save(KEYS[i], change)
  if replies[i][1] == 'missing' and ARGV[4] == 'raise' then
    return redis.error_reply('NOSUCHJOB schedule ' .. change.id .. ' was deleted')
  end
end
if #events > 0 then announce(now, events) end
return replies
"""
)

DELETE = (
    _CHANGED
    + f"""
-- Delete schedules with their places in the indexes and their histories.
-- KEYS: the hashes. ARGV[1]: epoch seconds, then the ids in the same order.
-- Returns for each 1 if there was one, else 0.
local replies, events = {{}}, {{}}
for i, key in ipairs(KEYS) do
  local id = ARGV[i + 1]
  replies[i] = redis.call('DEL', key)
  if replies[i] == 1 then
    redis.call('ZREM', '{INDEX}', id)
    redis.call('DEL', key .. ':jobs')
    events[#events + 1] = cjson.encode({{event = 'deleted', job_id = id}})
  end
  redis.call('ZREM', '{DISABLED}', id)
  redis.call('ZREM', '{ERRORS}', id)
end
if #events > 0 then announce(ARGV[1], events) end
return replies
"""
)

DISPATCH = f"""
-- One batch of a pass. Occurrences: for each its RQ job, the schedule's new times, its place in the
-- index and its history. Corrections: recorded errors and places in the index.
--
-- KEYS[1]: the lock
-- ARGV[1]: the token that must hold it, ARGV[2]: its TTL in ms, ARGV[3]: minus the longest history
-- minus one, ARGV[4]: TTL of a history in seconds, ARGV[5]: time for the history
-- ARGV[6]: msgpack list of three lists:
--   shapes of RQ jobs: start of the key, TTL (0: none), queue key ('' not to push), key of the set
--     of queues, count of variable fields, field/value list that begins with these
--   occurrences: id, revision, updated_at, next_enqueue_time as read ('' for a missing field), new
--     latest and next_enqueue_time, place in the index, 1 to delete the last error, id of the RQ
--     job, index of its shape, values of the variable fields...
--   corrections: id, the three as read (or nothing: not to check), field/value list to set, place
--     in the index ('' to take it out: it waits for nothing), 1 to list it among the errors
-- Returns false where the token does not hold the lock and nothing was done; else a text with a
-- character for each occurrence, then for each correction: 1 done; left alone: 0 it was changed
-- meanwhile, h its history is no sorted set, q its queue is no list.
local call, try = redis.call, redis.pcall
if call('GET', KEYS[1]) ~= ARGV[1] then return false end
local history_end, history_ttl, moment = ARGV[3], ARGV[4], ARGV[5]
local shapes, occurrences, corrections = unpack(cmsgpack.unpack(ARGV[6]))
local done, places = {{}}, {{}}

for _, shape in ipairs(shapes) do
  shape.good = shape[3] == '' or type(try('LLEN', shape[3])) == 'number'
  shape.pushed = {{}}
end

local function unchanged(key, revision, updated_at, following)
  local stored = try('HMGET', key, {", ".join(repr(f) for f in FINGERPRINT_FIELDS)})
  return not stored.err and (stored[3] or '') == following and (stored[2] or '') == updated_at
    and (stored[1] or '') == revision
end

local function occur(item)
  local id, job_id, shape = item[1], item[9], shapes[item[10]]
  local key = '{JOB_PREFIX}' .. id
  local history = key .. ':jobs'
  if not unchanged(key, item[2], item[3], item[4]) then
    -- Our own write, whose reply was lost, so that the client sent it again?
    return type(try('ZSCORE', history, job_id)) == 'string' and '1' or '0'
  end
  if not shape.good then return 'q' end
  -- The first write, so that a history of the wrong type is known before anything is changed.
  local entered = try('ZADD', history, moment, job_id)
  if type(entered) ~= 'number' then
    if string.find(entered.err, 'WRONGTYPE', 1, true) then return 'h' end
    error(entered.err)
  end
  local fields, job = shape[6], shape[1] .. job_id
  for i = 1, shape[5] do fields[2 * i] = item[10 + i] end
  call('HSET', job, unpack(fields))
  if shape[2] > 0 then call('EXPIRE', job, shape[2]) end
  call('HSET', key, 'latest_enqueue_time', item[5], 'next_enqueue_time', item[6])
  shape.pushed[#shape.pushed + 1] = job_id
  places[#places + 1] = item[7]
  places[#places + 1] = id
  call('ZREMRANGEBYRANK', history, 0, history_end)
  call('EXPIRE', history, history_ttl)
  if item[8] == 1 then
    call('HDEL', key, 'last_error', 'last_error_at')
    call('ZREM', '{ERRORS}', id)
  end
  return '1'
end

local function correct(item)
  local id, seen, set, place, failed = unpack(item)
  local key = '{JOB_PREFIX}' .. id
  if seen[1] and not unchanged(key, unpack(seen)) then return '0' end
  if failed == 1 then call('ZADD', '{ERRORS}', moment, id) end
  if set[1] then call('HSET', key, unpack(set)) end
  if place ~= '' then
    call('ZADD', '{INDEX}', place, id)
  else
    try('ZADD', '{DISABLED}', call('ZSCORE', '{INDEX}', id) or 0, id)
    call('ZREM', '{INDEX}', id)
  end
  return '1'
end

local failure
local function attempt(step, items)
  for _, item in ipairs(items) do
    local ok, outcome = true, '0'
    if not failure then ok, outcome = pcall(step, item) end
    if not ok then
      -- Where it is not the first, it will be in the next batch, and is reported then.
      failure, outcome = outcome, '0'
    end
    done[#done + 1] = outcome
  end
end
attempt(occur, occurrences)
attempt(correct, corrections)

-- Whatever happened: what was written above is also pushed and placed.
for _, shape in ipairs(shapes) do
  if shape[3] ~= '' and shape.pushed[1] then
    call('RPUSH', shape[3], unpack(shape.pushed))
    try('SADD', shape[4], shape[3])
  end
end
if places[1] then call('ZADD', '{INDEX}', unpack(places)) end
if failure and not string.find(table.concat(done), '1', 1, true) then
  return redis.error_reply(type(failure) == 'table' and failure.err or tostring(failure))
end
call('PEXPIRE', KEYS[1], ARGV[2])
return table.concat(done)
"""

DUE = f"""
-- ARGV: highest score, how many members to pass over, how many to return at the most.
-- Returns a JSON list of members and scores in turn, oldest first.
local due = redis.call('ZRANGEBYSCORE', '{INDEX}', '-inf', ARGV[1], 'WITHSCORES', 'LIMIT', ARGV[2], ARGV[3])
if not due[1] then return '[]' end
return cjson.encode(due)
"""

READ = f"""
-- Hashes of schedules, as one JSON text: it is parsed several times as fast as a reply of fields.
-- ARGV: ids. Returns a JSON list, for each: the list of fields and values; a text where the key
-- holds no hash (the error); 1 where there is no such key but a history; 0 where there is neither.
local found = {{}}
for i, id in ipairs(ARGV) do
  local hash = redis.pcall('HGETALL', '{JOB_PREFIX}' .. id)
  if hash.err then
    found[i] = hash.err
  elseif hash[1] then
    found[i] = hash
  else
    found[i] = redis.call('EXISTS', '{JOB_PREFIX}' .. id .. '{HISTORY_SUFFIX}')
  end
end
return cjson.encode(found)
"""

REPLACE_LOCK = """
-- Hand the lock on from a dead holder. KEYS[1]: the lock; ARGV: its token, the new token, TTL in ms.
-- Returns 1, or 0 where another holds it by now.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""

PRUNE = """
-- Take members out of the indexes that have neither a hash nor a history.
-- KEYS[1]: index, KEYS[2]: disabled index, KEYS[3]: errors; ARGV[1], ARGV[2]: what stands before and behind an id
-- in the name of its history, then the members. Returns how many were taken out.
local pruned = 0
for i = 3, #ARGV do
  local hash = ARGV[1] .. ARGV[i]
  if redis.call('EXISTS', hash) == 0 then
    local gone = redis.call('ZREM', KEYS[2], ARGV[i])
    redis.call('ZREM', KEYS[3], ARGV[i])
    -- With a history it is a name in RQ's own registry of cron jobs, which is the same key.
    if redis.call('EXISTS', hash .. ARGV[2]) == 0 then
      gone = math.max(gone, redis.call('ZREM', KEYS[1], ARGV[i]))
    end
    pruned = pruned + gone
  end
end
return pruned
"""
