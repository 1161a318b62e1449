"""The script that writes definitions."""

from __future__ import annotations

from collections.abc import Iterable

from ..keys import DISABLED, ERRORS, FACTS, INDEX, RECEIPT_PREFIX, RECEIPT_TTL, TIMING_FIELDS
from .changes import CHANGED
from .origin import GUARD
from .rules import AS_LEADER
from .times import TIMES


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))


SAVE = (
    TIMES
    + CHANGED
    + GUARD
    + AS_LEADER
    + f"""
-- Write definitions, place them in the indexes, announce them.
--
-- KEYS: the hashes of the schedules
-- ARGV[1]: epoch seconds, ARGV[2]: the same as UTC text
-- ARGV[3]: JSON list, for each hash:
--   id, event ('' for created or updated as it turns out)
--   create: whether it may be created, or replaced where it is no hash
--   version: that must stand there ('' for nothing), where given
--   fields: definition fields to write (for a new one: all of them), unset: fields to leave out,
--     or to delete, because they have their defaults
--   times: latest_enqueue_time, next_enqueue_time to move forward to, where given; a next one that
--     is not after the latest occurrence counts as not given
--   next: the next enqueue time, computed now, for the case that it has to be computed ('' where
--     nothing is left to run); from:
--     facts (after the write, by name), retimed (whether the timing fields change), and, of a cron
--     expression, rules: of its zone, as `as_leader` takes them
--   expected: what a merge with the code read, where given: the change is refused if that changed,
--     and not for a lock
--   marks: fields of the origin to write (true: the time, false: to delete), where given; quiet:
--     nothing but these, which is no change of the definition: it raises no revision and is told
--     to nobody
--   receipt: name under which the reply is kept, where given; if it is there already, this very
--     change was written before
-- ARGV[4]: 'once' where there is no second attempt (in a pipeline)
-- Returns a JSON list, for each: {{'refused', reason, text}} where it may not be changed,
--   {{'stale', true if the timing fields change, facts}} where the next time must be computed anew
--   from these and nothing was written, or {{'ok', version, revision, created_at,
--   latest_enqueue_time, next_enqueue_time, enabled, finished_at, runs}}, or {{'marked'}} for a
--   quiet one.
-- With 'once' a refusal is an error reply. Stale cannot be: an occurrence to come stays the next
-- one, else there is no next time, and the scheduler, woken at once, computes it from updated_at.
local now, now_text, once = ARGV[1], ARGV[2], ARGV[4] == 'once'
local replies, events = {{}}, {{}}
local timing_fields = {{{_quoted(TIMING_FIELDS)}}}
local facts = {{{_quoted(FACTS)}}}
local read = {{'enabled', 'created_at', 'updated_at', 'revision', 'finished_at', 'runs',
              'max_runs', 'jitter', 'locked', 'place', 'disabled_as_orphan_at', unpack(facts)}}

local function version_of(revision, updated_at, created_at)
  if revision == '' then revision = '0' end
  return revision .. '/' .. (updated_at ~= '' and updated_at or created_at)
end

-- Why a change may not be made: reason and text, or nothing. `stored`: nil where there is no hash.
local function refusal(key, kind, change, stored)
  if change.expected then
    if as_expected(key, change.id, kind, change.expected) then return nil end
    return 'MERGE', 'was changed meanwhile'
  end
  if not stored and not change.create then return 'NOSUCHJOB', 'was deleted' end
  local version = stored and version_of(stored.revision, stored.updated_at, stored.created_at) or ''
  if change.version and change.version ~= version then
    return 'SCHEDULECHANGED', 'was changed meanwhile'
  end
  if stored and stored.locked == '1' and overrides(key, change) then
    return 'SCHEDULELOCKED', 'is locked; change it where it is declared: ' .. stored.place
  end
end

local function write(key, pairs_, gone)
  if pairs_[1] then redis.call('HSET', key, unpack(pairs_)) end
  if gone[1] then redis.call('HDEL', key, unpack(gone)) end
end

-- Enter marks among the fields and values to write, and the fields to delete.
local function add_marks(marks, pairs_, gone)
  for name, value in pairs(marks) do
    if value then
      pairs_[#pairs_ + 1] = name
      pairs_[#pairs_ + 1] = value == true and now_text or value
    else
      gone[#gone + 1] = name
    end
  end
end

-- Where a schedule that waits to run stands in the index.
local function place(id, following, jitter)
  if following == '' then return now end
  return string.format('%.6f', epoch(following) + delay(id, following, jitter))
end

local function save(key, change)
  local kept = change.receipt and redis.call('GET', '{RECEIPT_PREFIX}' .. change.receipt)
  if kept then return cjson.decode(kept) end
  local kind = redis.call('TYPE', key).ok
  local stored
  if kind == 'hash' then
    stored = {{}}
    local values = redis.call('HMGET', key, unpack(read))
    for i, name in ipairs(read) do stored[name] = values[i] or '' end
  end
  local reason, text = refusal(key, kind, change, stored)
  if reason then return {{'refused', reason, text}} end
  if change.quiet then
    local pairs_, gone = {{}}, {{}}
    add_marks(change.marks, pairs_, gone)
    write(key, pairs_, gone)
    forget_deletion(change.id)
    return {{'marked'}}
  end

  local fields, exists = change.fields, stored ~= nil
  stored = stored or {{enabled = '1', created_at = '', next_enqueue_time = ''}}
  local enabled = fields.enabled or (stored.enabled == '0' and '0' or '1')
  local latest, following = stored.latest_enqueue_time or '', stored.next_enqueue_time
  if not epoch(latest) then latest = '' end
  local wanted_latest = change.times.latest_enqueue_time
  local wanted_next = change.times.next_enqueue_time
  if wanted_latest and wanted_latest > latest then latest = wanted_latest end
  -- What has run would run again: such a next time is that of an object older than the hash.
  local ran = epoch(latest)
  if wanted_next and ran and epoch(wanted_next) <= ran then wanted_next = nil end

  local left_out = {{}}
  for _, name in ipairs(change.unset) do left_out[name] = true end
  local function said(name) return not left_out[name] and (fields[name] or stored[name]) or '' end
  local current, changed = {{}}, false
  for _, name in ipairs(facts) do current[name] = said(name) end
  for _, name in ipairs(timing_fields) do
    if current[name] ~= stored[name] then changed = true end
  end
  current.latest_enqueue_time = latest
  -- An interval that is not changed goes on in the rhythm of its next time, unless that only says
  -- that it was due at once.
  local goes_on = not changed and latest ~= '' and sound(following, now)
                  and following ~= stored.created_at
  current.next_enqueue_time = goes_on and following or ''
  local finished_at, runs = stored.finished_at or '', stored.runs or ''
  if not epoch(finished_at) then finished_at = '' end
  if not string.match(runs, '^%d+$') or #runs > 15 then runs = '' end
  local end_moved = current.end_at ~= (stored.end_at or '')
  local limit_moved = said('max_runs') ~= (stored.max_runs or '')
  local revived = finished_at ~= '' and (changed or end_moved or limit_moved)
  local max_runs = tonumber(said('max_runs')) or math.huge
  local function used_up() return (tonumber(runs) or 0) >= max_runs end
  if used_up() and (changed or end_moved) then runs = '' end
  if revived then finished_at = '' end

  local retime = changed or revived or not sound(following, now)
                 or (enabled == '1' and stored.enabled == '0')
  if finished_at ~= '' then
    following = ''
  elseif used_up() then
    following, finished_at = '', now_text
  elseif wanted_next and (retime or wanted_next > following) then
    following = wanted_next
  elseif retime then
    local expected = latest == '' or changed == change.retimed
    for name, fact in pairs(current) do expected = expected and fact == change.facts[name] end
    if expected then
      following = change.next
      if following == '' then
        finished_at = now_text
      elseif change.rules and not as_leader(change.rules) then
        following = ''
      end
    elseif not once then
      return {{'stale', changed, current}}
    elseif changed or revived or not sound(following, now) or following <= now_text then
      following = ''
    end
  end
  if following ~= '' and epoch(current.end_at) and epoch(following) > epoch(current.end_at) then
    following, finished_at = '', now_text
  end

  if kind ~= 'hash' and kind ~= 'none' then redis.call('DEL', key) end
  local pairs_, gone = {{'id', change.id}}, {{}}
  local function set(name, value)
    pairs_[#pairs_ + 1] = name
    pairs_[#pairs_ + 1] = value
  end
  local function set_or_delete(name, value)
    if value ~= '' then set(name, value) elseif exists then gone[#gone + 1] = name end
  end
  for name, value in pairs(fields) do
    if name ~= 'enabled' and name ~= 'created_at' and not left_out[name] then set(name, value) end
  end
  set('enabled', enabled)
  local created_at = stored.created_at
  if not epoch(created_at) then
    created_at = fields.created_at or now_text
    set('created_at', created_at)
  end
  if exists then
    set('updated_at', now_text)
    gone = {{'last_error', 'last_error_at', unpack(change.unset)}}
    if runs == '' then gone[#gone + 1] = 'runs' end
  end
  set_or_delete('latest_enqueue_time', latest)
  set_or_delete('next_enqueue_time', following)
  set_or_delete('finished_at', finished_at)
  local marks = change.marks or (not exists and tombstone_marks(change.id)) or {{}}
  local as_orphan = stored.disabled_as_orphan_at or ''
  if not change.marks and not fields.enabled and as_orphan ~= ''
     and as_orphan == stored.updated_at then
    marks = {{disabled_as_orphan_at = true}} -- another edit says nothing of that
  end
  add_marks(marks, pairs_, gone)
  write(key, pairs_, gone)
  if change.expected or not exists then forget_deletion(change.id) end
  local counted = 0
  if exists then
    counted = redis.pcall('HINCRBY', key, 'revision', 1)
    if type(counted) ~= 'number' then
      counted = 1
      redis.call('HSET', key, 'revision', 1)
    end
  end
  redis.call('ZREM', '{ERRORS}', change.id)
  if enabled == '1' and finished_at == '' then
    redis.call('ZADD', '{INDEX}', place(change.id, following, said('jitter')), change.id)
    redis.call('ZREM', '{DISABLED}', change.id)
  else
    redis.call('ZADD', '{DISABLED}', now, change.id)
    redis.call('ZREM', '{INDEX}', change.id)
  end
  local event = change.event
  if event == '' then event = exists and 'updated' or 'created' end
  events[#events + 1] = cjson.encode({{event = event, job_id = change.id}})
  counted = string.format('%.0f', counted)
  local version = version_of(counted, exists and now_text or '', created_at)
  local reply = {{'ok', version, counted, created_at, latest, following, enabled, finished_at,
                 runs}}
  if change.receipt then
    local receipt = '{RECEIPT_PREFIX}' .. change.receipt
    redis.call('SET', receipt, cjson.encode(reply), 'EX', {RECEIPT_TTL})
  end
  return reply
end

for i, change in ipairs(cjson.decode(ARGV[3])) do
  replies[i] = save(KEYS[i], change)
  if once and replies[i][1] == 'refused' then
    local text = replies[i][2] .. ' nothing was saved of ' .. change.id .. ': ' .. replies[i][3]
    return redis.error_reply(text)
  end
end
if #events > 0 then announce(now, events) end
return cjson.encode(replies)
"""
)
