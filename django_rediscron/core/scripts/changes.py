"""Changes of definitions."""

from __future__ import annotations

from ..keys import DISABLED, ERRORS, EVENTS, INDEX, INDEXED, LAST_UPDATE, TIMING_FIELDS

_EPOCH = """
-- Epoch seconds of RQ's UTC text, nil where it is none. Days from the civil calendar: Howard
-- Hinnant, "chrono-Compatible Low-Level Date Algorithms".
local function epoch(text)
  local pattern = '^(%d%d%d%d)-(%d%d)-(%d%d)T(%d%d):(%d%d):(%d%d%.?%d*)Z$'
  local y, m, d, h, mi, s = string.match(text or '', pattern)
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
--   fields: definition fields to write (for a new one: all of them), unset: fields to leave out,
--     or to delete, because they have their defaults
--   times: latest_enqueue_time, next_enqueue_time to move forward to, where given
--   fresh, ran: the next enqueue time, computed now, of a schedule that never ran, and of one that
--     did; computed from: timing (the timing fields after the write) and latest (enqueue time);
--     false instead of timing: use them whatever stands there
-- Returns a JSON list, for each: {{'missing'}},
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
    local names = {{'enabled', 'created_at', 'latest_enqueue_time', 'next_enqueue_time',
                    'last_error', unpack(timing_fields)}}
    local values = redis.call('HMGET', key, unpack(names))
    for i, name in ipairs(names) do stored[name] = values[i] or '' end
  end
  local fields = change.fields
  local enabled = fields.enabled or (stored.enabled == '0' and '0' or '1')
  local retime = enabled == '1' and stored.enabled == '0'
  local latest, following = stored.latest_enqueue_time or '', stored.next_enqueue_time or ''
  if not epoch(latest) then latest = '' end
  local current, changed = {{}}, 0
  local expected = not change.timing or not epoch(latest) or latest == change.latest
  for i, name in ipairs(timing_fields) do
    current[i] = fields[name] or stored[name] or ''
    if current[i] ~= stored[name] then changed, retime = 1, true end
    if change.timing and change.timing[i] ~= current[i] then expected = false end
  end
  local wanted_latest = change.times.latest_enqueue_time
  local wanted_next = change.times.next_enqueue_time
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
  local left_out, pairs_ = {{}}, {{'id', change.id}}
  local function set(name, value)
    pairs_[#pairs_ + 1] = name
    pairs_[#pairs_ + 1] = value
  end
  for _, name in ipairs(change.unset) do left_out[name] = true end
  for name, value in pairs(fields) do
    if name ~= 'enabled' and name ~= 'created_at' and not left_out[name] then set(name, value) end
  end
  set('enabled', enabled)
  local created_at = stored.created_at
  if not epoch(created_at) then
    created_at = fields.created_at or now_text
    set('created_at', created_at)
  end
  if exists then set('updated_at', now_text) end
  if latest ~= '' then set('latest_enqueue_time', latest) end
  set('next_enqueue_time', following)
  redis.call('HSET', key, unpack(pairs_))
  local counted = 0
  if exists then
    redis.call('HDEL', key, 'last_error', 'last_error_at', unpack(change.unset))
    if latest == '' then redis.call('HDEL', key, 'latest_enqueue_time') end
    counted = redis.pcall('HINCRBY', key, 'revision', 1)
    if type(counted) ~= 'number' then
      counted = 1
      redis.call('HSET', key, 'revision', 1)
    end
  end
  redis.call('ZREM', '{ERRORS}', change.id)
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
return cjson.encode(replies)
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
