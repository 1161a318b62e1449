-- The schedules that meet a condition, and the values to sort them by. Writes nothing.
--
-- KEYS[1]: a sorted set of ids of which a page is searched; without it the ids are in ARGV
-- ARGV[1]: JSON object
--   fields: hash fields to read of each
--   condition: false for any, or a leaf {field, op, values}, or a node {connector, negated,
--     children} of such; fields are those of the hash and some made of them (see `MADE`);
--     icontains: values are a lower-case text, then non-ASCII letters, upper and lower case
--   sort: fields whose values are returned
--   defaults: fields of the definition with their defaults, if `overridden` is requested
--   index: KEYS[1] again, used if that is missing, because a user who may only read a key may not
--     declare it; cursor, count: of the page
-- ARGV[2], ...: the ids
-- Returns JSON: {the next cursor, list of id, values of sort..., id, ...}. Members without a hash
--   are left out. Those that are in the set from the first page to the last are found at least
--   once.

-- include: epoch
-- include: state

local request = cjson.decode(ARGV[1])
local fields, sort = request.fields, request.sort
-- Of the schedule that is looked at: its id, what was read of its hash, and whether it is one.
local id, row, is_hash

local function stored(name)
  return row[name] or ''
end

local MADE = {}

function MADE.id() return id end

function MADE.enabled() return stored('enabled') == '0' and '0' or '1' end

function MADE.state()
  return state_from(row.enabled, row.finished_at, row.last_error, is_hash)
end

function MADE.source()
  local source = stored('source')
  return is_hash and source == '' and 'runtime' or source
end

function MADE.next_enqueue_time()
  if row.enabled == '0' or stored('finished_at') ~= '' then return '' end
  return stored('next_enqueue_time')
end

-- Whether it differs from the code, if it is declared.
function MADE.overridden()
  local known, declared = pcall(cjson.decode, stored('declared'))
  if not known or type(declared) ~= 'table' then return '' end
  for name, default in pairs(request.defaults) do
    if (row[name] or default) ~= (declared[name] or default) then return '1' end
  end
  return ''
end

-- When the newest job of its history was enqueued, else its latest time; a text that sorts.
function MADE.latest_run()
  local key = JOB_PREFIX .. id .. HISTORY_SUFFIX
  local newest = redis.pcall('ZREVRANGE', key, 0, 0, 'WITHSCORES')
  local at = tonumber(newest[2] or '') or epoch(stored('latest_enqueue_time'))
  return at and string.format('%020.6f', at) or ''
end

-- The status of the job that was enqueued last: RQ's word, or the letter of a record; unknown if
-- neither tells, empty if it never ran.
function MADE.last_outcome()
  local newest = redis.pcall('ZREVRANGE', JOB_PREFIX .. id .. HISTORY_SUFFIX, 0, 0)[1]
  local is_over = not newest or redis.pcall('HEXISTS', IN_FLIGHT, newest) ~= 1
  if is_over then
    local latest, outcome = -1, nil
    local records = redis.pcall('LRANGE', RUNS_PREFIX .. id, 0, 1)
    for _, record in ipairs(records.err and {} or records) do
      local letter, at = string.match(record, '^%S+ (%S+) %S+ (%d+)')
      if at and tonumber(at) > latest then latest, outcome = tonumber(at), letter end
    end
    if outcome or not newest then return outcome or '' end
  end
  local status = redis.pcall('HGET', RQ_JOB_PREFIX .. newest, 'status')
  return type(status) == 'string' and status or 'unknown'
end

-- When it is to be enqueued, its delay included; a text that sorts.
function MADE.due()
  local planned = epoch(MADE.next_enqueue_time())
  if not planned then return '' end
  local score = tonumber(redis.pcall('ZSCORE', SCHEDULE_INDEX, id) or '') or planned
  return string.format('%020.6f', math.max(score, planned))
end

local function value(name)
  local make = MADE[name]
  return make and make() or stored(name)
end

local tests, sets, seen = {}, {}, {}

tests['in'] = function(text, values)
  local set = sets[values]
  if not set then
    set = {}
    for _, each in ipairs(values) do set[each] = true end
    sets[values] = set
  end
  return set[text] == true
end

function tests.contains(text, values) return string.find(text, values[1], 1, true) ~= nil end

function tests.word(text, values)
  return string.find(' ' .. text .. ' ', values[1], 1, true) ~= nil
end

-- Few functions are named by many schedules: each text is looked at once.
function tests.icontains(text, values)
  seen[values] = seen[values] or {}
  local known = seen[values][text]
  if known == nil then
    local small = string.lower(text)
    for i = 2, #values, 2 do small = string.gsub(small, values[i], values[i + 1]) end
    known = string.find(small, values[1], 1, true) ~= nil
    seen[values][text] = known
  end
  return known
end

function tests.startswith(text, values)
  return string.sub(text, 1, #values[1]) == values[1]
end

function tests.gt(text, values) return text ~= '' and text > values[1] end
function tests.gte(text, values) return text ~= '' and text >= values[1] end
function tests.lt(text, values) return text ~= '' and text < values[1] end
function tests.lte(text, values) return text ~= '' and text <= values[1] end

local function meets(condition)
  if condition.op then return tests[condition.op](value(condition.field), condition.values) end
  local every = condition.connector == 'AND'
  local met = every
  for _, child in ipairs(condition.children) do
    if meets(child) ~= every then met = not every break end
  end
  if condition.negated then return not met end
  return met
end

-- Read the requested fields of a schedule; false if there is none.
local function fetch(member)
  local key = JOB_PREFIX .. member
  id, row, is_hash = member, {}, true
  if not fields[1] then return redis.call('EXISTS', key) == 1 end
  local values = redis.pcall('HMGET', key, unpack(fields))
  if values.err then
    is_hash = false
    return true
  end
  local any = false
  for i, name in ipairs(fields) do
    row[name] = values[i]
    any = any or values[i]
  end
  return any or redis.call('EXISTS', key) == 1
end

local found, size = {}, 0
local function look(member)
  if not fetch(member) then return end
  if request.condition and not meets(request.condition) then return end
  size = size + 1
  found[size] = id
  for _, name in ipairs(sort) do
    size = size + 1
    found[size] = value(name)
  end
end

local cursor, index = '0', KEYS[1] or request.index
if index then
  local reply = redis.call('ZSCAN', index, request.cursor, 'COUNT', request.count)
  cursor = reply[1]
  for i = 1, #reply[2], 2 do look(reply[2][i]) end
else
  for i = 2, #ARGV do look(ARGV[i]) end
end
return cjson.encode({cursor, found})
