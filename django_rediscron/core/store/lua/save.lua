-- Write definitions, enter them in the indexes, announce them.
--
-- KEYS: those of `changes`, then the hashes of the schedules
-- ARGV[1]: epoch seconds, ARGV[2]: the same as UTC text
-- ARGV[3]: JSON list, for each hash:
--   id, event ('' for created or updated, whichever it is)
--   create: whether it may be created, or replaced if the key is no hash
--   version: that must be stored ('' for nothing), if given
--   fields: definition fields to write (for a new one: all of them), unset: fields to leave out,
--     or to delete, because they have their defaults
--   times: latest_enqueue_time, next_enqueue_time to move forward to, if given; a next one that
--     is not after the latest occurrence counts as not given
--   next: the next enqueue time, computed now, in case it has to be computed ('' if
--     nothing is left to run); from:
--     facts (after the write, by name), retimed (whether the timing fields change), and, of a cron
--     expression, rules: of its zone, as `as_leader` takes them
--   expected: what a merge with the code read, if given: the change is refused if that changed,
--     and not for a lock
--   what, reason: what the log of changes is to say ('' for what: created or updated, whichever
--     it is), if given
--   off: true to disable it, also if it is disabled already, for this reason; until: when the
--     leader is to enable it, as UTC text, if given
--   ends: of the leader, which enables it at that time: the token that must hold the lock, and the
--     time that must stand in the hash
--   origin_fields: those to write (true: the time, false: to delete), if given; quiet:
--     only these, which is no change of what runs when: no revision is raised and no event is
--     published
--   receipt: name under which the reply is kept, if given; if it exists already, this very
--     change was written before
-- ARGV[4]: the actor
-- ARGV[5]: 'once' if there is no second attempt (in a pipeline)
-- Returns a JSON list, for each: {'refused', reason, text} if it may not be changed,
--   {'stale', true if the timing fields change, facts} if the next time must be recomputed
--   from these and nothing was written, or {'ok', version, revision, created_at,
--   latest_enqueue_time, next_enqueue_time, enabled, finished_at, runs, then the OFF_FIELDS}, or
--   {'marked'} for a quiet one.
-- With 'once' a refusal is an error reply, and nothing is stale: a next time in the future stays,
-- otherwise there is none, and the scheduler, woken at once, computes it from updated_at.

-- include: changes
-- include: as_expected
-- include: as_leader
-- include: sound
-- include: jitter
-- include: raise_revision
-- include: change_log
-- include: off
-- include: forget_off

local now, now_text, by, once = ARGV[1], ARGV[2], ARGV[4], ARGV[5] == 'once'

-- include: next_time

local replies, events = {}, {}
local READ = {'enabled', 'created_at', 'updated_at', 'revision', 'finished_at', 'runs', 'max_runs',
              'jitter', 'locked', 'place', 'disabled_as_orphan_at', unpack(FACTS)}

local function version_of(revision, updated_at, created_at)
  if revision == '' then revision = '0' end
  return revision .. '/' .. (updated_at ~= '' and updated_at or created_at)
end

for _, name in ipairs(OFF_FIELDS) do READ[#READ + 1] = name end

-- Whether a change of a stored schedule changes its definition, or why or how long it is off.
local function overrides(key, change)
  if change.off and (change.reason or change['until']) then return true end
  local left_out = {}
  for _, name in ipairs(change.unset) do
    left_out[name] = true
    local stands = redis.call('HGET', key, name)
    if stands and stands ~= '' and stands ~= change.fields[name] then return true end
  end
  for name, value in pairs(change.fields) do
    if not left_out[name] and name ~= 'created_at' then
      local stands = redis.call('HGET', key, name) or (name == 'enabled' and '1')
      if stands ~= value then return true end
    end
  end
  return false
end

-- Whether the leader enables a schedule that is still disabled until this time.
local function has_ended(stored, ends)
  return redis.call('GET', LOCK) == ends.token and stored and stored.enabled == '0'
         and stored.disabled_until == ends['until']
end

-- Why a change may not be made: reason and text, or nothing. `stored`: nil if there is no hash.
local function refusal(key, kind, change, stored)
  if change.ends and not has_ended(stored, change.ends) then
    return 'ENDED', 'was changed meanwhile'
  end
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

-- The fields that matter here, '' if they are missing; and the whole hash as it is read.
local function read(key)
  local stored, found, whole = {}, {}, redis.call('HGETALL', key)
  for i = 1, #whole, 2 do found[whole[i]] = whole[i + 1] end
  for _, name in ipairs(READ) do stored[name] = found[name] or '' end
  return stored, whole
end

local function write(key, pairs_, gone)
  if pairs_[1] then redis.call('HSET', key, unpack(pairs_)) end
  if gone[1] then redis.call('HDEL', key, unpack(gone)) end
end

-- Enter fields of the origin among the fields and values to write, and the fields to delete.
local function add_origin_fields(origin, pairs_, gone)
  for name, value in pairs(origin) do
    if value then
      pairs_[#pairs_ + 1] = name
      pairs_[#pairs_ + 1] = value == true and now_text or value
    else
      gone[#gone + 1] = name
    end
  end
end

local function forget_deletion(id)
  if any_deleted then redis.call('HDEL', DELETED, id) end
end

-- The origin from the tombstone, for a schedule that is created again after it was deleted.
local function tombstone_fields(id)
  local text = any_deleted and redis.call('HGET', DELETED, id)
  local is_read, told = pcall(cjson.decode, text or '')
  local origin = {}
  for _, name in ipairs({'source', 'application', 'place', 'declared'}) do
    if is_read and type(told) == 'table' and type(told[name]) == 'string' then
      origin[name] = told[name]
    end
  end
  return origin
end

-- Fields of the origin that are written with a change of the definition.
local function origin_fields_of(change, stored, exists)
  local as_orphan = stored.disabled_as_orphan_at or ''
  if not change.origin_fields and not change.fields.enabled and as_orphan ~= ''
     and as_orphan == stored.updated_at then
    return {disabled_as_orphan_at = true} -- another edit says nothing of that
  end
  return change.origin_fields or (not exists and tombstone_fields(change.id)) or {}
end

-- Fields and values to write, and fields to delete.
local function contents(change, schedule, stored, exists)
  local pairs_, gone = {'id', change.id}, {}
  local function set(name, value)
    pairs_[#pairs_ + 1] = name
    pairs_[#pairs_ + 1] = value
  end
  local function set_or_delete(name, value)
    if value ~= '' then set(name, value) elseif exists then gone[#gone + 1] = name end
  end
  for name, value in pairs(change.fields) do
    if name ~= 'enabled' and name ~= 'created_at' and not schedule.left_out[name] then
      set(name, value)
    end
  end
  set('enabled', schedule.enabled)
  if schedule.created_at ~= stored.created_at then set('created_at', schedule.created_at) end
  if exists then
    set('updated_at', now_text)
    gone = {'last_error', 'last_error_at', unpack(change.unset)}
    if schedule.runs == '' then gone[#gone + 1] = 'runs' end
  end
  set_or_delete('latest_enqueue_time', schedule.latest)
  set_or_delete('next_enqueue_time', schedule.following)
  set_or_delete('finished_at', schedule.finished_at)
  add_origin_fields(origin_fields_of(change, stored, exists), pairs_, gone)
  return pairs_, gone
end

-- The score of a schedule that waits to run.
local function score(id, schedule)
  local following = schedule.following
  if following == '' then return now end
  return string.format('%.6f', epoch(following) + jitter_delay(id, following, schedule.jitter))
end

local function put(id, schedule)
  redis.call('ZREM', ERRORS, id)
  if schedule.enabled == '1' and schedule.finished_at == '' then
    redis.call('ZADD', INDEX, score(id, schedule), id)
    redis.call('ZREM', DISABLED, id)
  else
    redis.call('ZADD', DISABLED, now, id)
    redis.call('ZREM', INDEX, id)
  end
end

-- Whether a schedule is disabled by this change, again or not, or created so for some reason.
local function is_switched_off(change, schedule, stored, exists)
  return schedule.enabled == '0' and (change.off or exists and stored.enabled ~= '0')
end

-- Note since when, by whom, why and until when it is off, or that it no longer is; returns that.
local function note_switch(key, change, schedule, stored, exists)
  if is_switched_off(change, schedule, stored, exists) then
    local since = stored.enabled == '0' and stored.disabled_at ~= '' and stored.disabled_at
    note_off(change.id, key, {
      at = since or now_text, by = by, reason = change.reason, ['until'] = change['until'],
    })
  elseif schedule.enabled == '1' and (stored.disabled_at or '') ~= '' then
    forget_off(change.id, key)
  end
  if schedule.enabled == '1' then return {} end
  local values = redis.call('HMGET', key, unpack(OFF_FIELDS))
  for i = 1, #OFF_FIELDS do values[i] = values[i] or '' end
  return values
end

-- Whether what was disabled already is so for another reason or time.
local function is_renewed(change, stored)
  return change.off and stored.enabled == '0'
         and ((change.reason or '') ~= stored.disabled_reason
              or (change['until'] or '') ~= stored.disabled_until)
end

-- Once for what was changed outside.
local function raise_twice(key)
  raise_revision(key)
  return raise_revision(key)
end

-- Enter in the log what was written. `before`: its state before that.
local function enter(key, change, stored, before, revision, exists)
  local what = change.what or ''
  if what == '' or not exists and what == 'synced' then what = exists and 'updated' or 'created' end
  log_change(change.id, before, definition_in(redis.call('HGETALL', key), 1), {
    at = now_text, by = by, what = what, revision = tonumber(revision) or 0, reason = change.reason,
    ['until'] = change['until'], renewed = exists and is_renewed(change, stored),
  })
end

-- Write what was judged to be right; returns the reply.
local function settle(key, kind, change, schedule, stored, before)
  local exists = kind == 'hash'
  if not exists and kind ~= 'none' then redis.call('DEL', key) end
  write(key, contents(change, schedule, stored, exists))
  if change.expected or not exists then forget_deletion(change.id) end
  local raise = before.outside and raise_twice or raise_revision
  local revision = string.format('%.0f', exists and raise(key) or 0)
  local off = note_switch(key, change, schedule, stored, exists)
  enter(key, change, stored, before, revision, exists)
  put(change.id, schedule)
  local event = change.event
  if event == '' then event = exists and 'updated' or 'created' end
  events[#events + 1] = cjson.encode({event = event, job_id = change.id})
  local version = version_of(revision, exists and now_text or '', schedule.created_at)
  return {'ok', version, revision, schedule.created_at, schedule.latest, schedule.following,
          schedule.enabled, schedule.finished_at, schedule.runs, unpack(off)}
end

local function save(key, change)
  local receipt = change.receipt and RECEIPT_PREFIX .. change.receipt
  local kept = receipt and redis.call('GET', receipt)
  if kept then return cjson.decode(kept) end
  local kind = redis.call('TYPE', key).ok
  local stored, whole
  if kind == 'hash' then stored, whole = read(key) end
  local reason, text = refusal(key, kind, change, stored)
  if reason then return {'refused', reason, text} end
  local before = state_of(change.id, whole or {})
  if change.quiet then
    local pairs_, gone = {}, {}
    add_origin_fields(change.origin_fields, pairs_, gone)
    write(key, pairs_, gone)
    forget_deletion(change.id)
    local revision = before.outside and raise_twice(key) or stored.revision
    enter(key, change, stored, before, revision, true)
    return {'marked'}
  end
  stored = stored or {enabled = '1', created_at = '', next_enqueue_time = ''}
  local schedule = merge(change, stored)
  set_end(schedule, stored)
  if not set_next(change, schedule, stored) then
    return {'stale', schedule.changed, schedule.facts}
  end
  local reply = settle(key, kind, change, schedule, stored, before)
  if receipt then redis.call('SET', receipt, cjson.encode(reply), 'EX', RECEIPT_TTL) end
  return reply
end

for i, change in ipairs(cjson.decode(ARGV[3])) do
  replies[i] = save(hashes[i], change)
  if once and replies[i][1] == 'refused' then
    local text = replies[i][2] .. ' nothing was saved of ' .. change.id .. ': ' .. replies[i][3]
    return redis.error_reply(text)
  end
end
if #events > 0 then announce(now, events) end
return cjson.encode(replies)
