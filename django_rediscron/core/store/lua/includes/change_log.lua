-- The log of changes of each schedule: its definition as it is known, and behind that the changes,
-- newest first. What programs changed that keep no log is entered as `outside`, at the latest
-- before the next change. A log that cannot be read or written keeps nobody from a change.

-- include: epoch

local unlogged, default_texts = {}, {}
for _, name in ipairs(UNLOGGED_FIELDS) do unlogged[name] = true end
for i = 1, #DEFAULT_TEXTS, 2 do default_texts[DEFAULT_TEXTS[i]] = DEFAULT_TEXTS[i + 1] end

-- What people wrote, from fields and values that alternate from the first one on.
local function definition_in(pairs_, first)
  local found = {}
  for i = first, #pairs_, 2 do
    local name, text = pairs_[i], pairs_[i + 1]
    local is_told = not unlogged[name] and text ~= '' and text ~= default_texts[name]
    if is_told then found[name] = text end
  end
  if pairs_[first] then found.enabled = found.enabled or '1' end
  return found
end

-- The fields that differ, as {before, after}; nil if none does.
local function difference(before, after)
  local fields = {}
  for name, text in pairs(before) do
    if after[name] ~= text then fields[name] = {text, after[name] or cjson.null} end
  end
  for name, text in pairs(after) do
    if before[name] == nil then fields[name] = {cjson.null, text} end
  end
  return next(fields) and fields or nil
end

-- An object in the log of a schedule: the known definition, or a change behind it; false if there
-- is nothing, nil for anything else, and then whether Redis refuses to tell.
local function logged(id, position)
  local text = redis.pcall('LINDEX', CHANGES_PREFIX .. id, position)
  if not text then return false end
  if type(text) == 'table' then return nil, not string.find(text.err, 'WRONGTYPE', 1, true) end
  local is_read, found = pcall(cjson.decode, text)
  return is_read and type(found) == 'table' and not found[1] and found or nil
end

-- Whether a schedule without a log was created outside: since then every other one has had a log.
local function is_unlogged(stored)
  local since = stored[1] and redis.pcall('GET', LOGGED_SINCE)
  if type(since) ~= 'string' then return false end
  for i = 1, #stored, 2 do
    if stored[i] == 'created_at' then return stored[i + 1] > since end
  end
  return true
end

-- The state before a change of a schedule with these fields and values: its definition as it is
-- `known` (false without a log), the `actual` one, and how they differ: `outside`.
local function state_of(id, stored)
  local state = {actual = definition_in(stored, 1)}
  state.known, state.is_secret = logged(id, 0)
  for _, text in pairs(state.known or {}) do
    if type(text) ~= 'string' then state.known = nil end
  end
  local before = state.known
  if before == false and is_unlogged(stored) then before = {} end
  state.outside = before and difference(before, state.actual)
  return state
end

-- Put these entries, the oldest first, and the definition after them on top of a log.
local function push(id, state, definition, entries)
  local key, first, top = CHANGES_PREFIX .. id, 1, {}
  if state.known then
    first = 2 -- the oldest one takes the place of the definition that was known
  elseif state.known == nil then
    redis.pcall('DEL', key)
  end
  for i = first, #entries do top[#top + 1] = entries[i] end
  top[#top + 1] = cjson.encode(definition)
  local length = redis.pcall('LPUSH', key, unpack(top))
  if type(length) ~= 'number' then return end
  if state.known then redis.pcall('LSET', key, #top, entries[1]) end
  local newest = entries[#entries] or ''
  local room = math.max(1, math.min(CHANGES_KEPT, math.floor(LARGEST_LOG / (#newest + 1))))
  if length > room + 1 then redis.pcall('LTRIM', key, 0, room) end
  redis.pcall('EXPIRE', key, CHANGES_TTL)
end

local function entry(at, by, what, revision, reason, fields, ends)
  if not (revision >= 0 and revision < 1e15) then revision = 0 end -- JSON has no infinity
  return cjson.encode({at = at, by = by, what = what, revision = revision, reason = reason,
                       fields = fields, ['until'] = ends})
end

-- The revision of what was noticed when the schedule was gone, or had been.
local function next_revision(id)
  local newest = logged(id, 1)
  return (newest and tonumber(newest.revision) or 0) + 1
end

-- What was done: only switching is called so, whoever did it.
local function name_of(what, fields)
  local switched = fields.enabled
  if what ~= 'updated' or not switched or next(fields, next(fields)) then return what end
  return switched[2] == '0' and 'disabled' or 'enabled'
end

local function enables(before, after)
  return before and before.enabled == '0' and after.enabled == '1'
end

-- Failures in a row are counted from the latest time that a schedule was created or enabled.
local function begin_count(id, state, definition)
  local enabled_outside = state.outside and enables(state.known, state.actual)
  local begins = next(definition) and not next(state.actual)
  if begins or enabled_outside or enables(state.actual, definition) then
    redis.pcall('HDEL', OUTCOMES_PREFIX .. id, 'failures')
  end
end

-- Enter a schedule among those that were deleted, and take out some whose changes are
-- kept no longer.
local function enter_gone(id, at)
  local time = epoch(at)
  if not time then return end
  redis.pcall('ZADD', GONE, time, id)
  local old = redis.pcall('ZRANGEBYSCORE', GONE, '-inf', time - CHANGES_TTL, 'LIMIT', 0, 100)
  if old[1] then redis.pcall('ZREM', GONE, unpack(old)) end
end

-- The same, or that it is there again.
local function enter_presence(id, state, definition, at)
  if not next(definition) then
    enter_gone(id, at)
  elseif not next(state.actual) or (state.known and not next(state.known)) then
    redis.pcall('ZREM', GONE, id)
  end
end

-- Enter a change that was made. `state`: that before it; `told`: `at`, `by`, `what`, `revision`,
-- and `reason` and `until` if there is one; `renewed` if a schedule that was disabled already is so
-- for another reason or time. If something was changed outside, `revision` was raised twice.
local function log_change(id, state, definition, told)
  local entries, is_new = {}, told.what == 'created'
  begin_count(id, state, definition)
  enter_presence(id, state, definition, told.at)
  if state.is_secret then return end
  local fields = is_new or difference(state.actual, definition)
  if state.outside then
    local revision = told.revision > 0 and told.revision - 1 or next_revision(id)
    entries[1] = entry(told.at, OUTSIDE, OUTSIDE, revision, nil, state.outside)
  end
  if is_new then
    told.text = told.text or entry(told.at, told.by, 'created', told.revision, told.reason, nil,
                                   told['until'])
    entries[#entries + 1] = told.text
  elseif fields or told.renewed then
    local what = fields and name_of(told.what, fields) or 'disabled'
    entries[#entries + 1] = entry(told.at, told.by, what, told.revision, told.reason,
                                  fields or {}, told['until'])
  end
  if entries[1] or not state.known then push(id, state, definition, entries) end
end
