"""Many schedules at once."""

from __future__ import annotations

from ...dispatch.retries import LONGEST_DELAY
from ...schedule.sizes import LIGHT_BYTES, MAX_BYTES
from ...timing.cron_times import MAX_SECONDS
from ..keys import DISABLED, HISTORY_SUFFIX, INDEX, JOB_PREFIX
from .times import TIMES

LONG_FIELDS = ("args", "kwargs", "meta", "declared", "description", "webhooks")
SHORT_FIELDS = (
    *("id", "func_name", "queue_name", "interval", "cron", "timezone", "enabled", "revision"),
    *("created_at", "updated_at", "latest_enqueue_time", "next_enqueue_time", "finished_at"),
    *("last_error", "last_error_at", "source", "application"),
)
SHORT_BYTES = 1000
"""What is told of a schedule that holds too much: these fields, as far as they are shorter."""

READ = f"""
-- Hashes of schedules, as one JSON text: it is parsed several times as fast as a reply of fields.
-- ARGV[1]: bytes after which a hash is weighed before it is read, then ids.
-- Returns a JSON list, for each: the list of fields and values; a text where the key holds no hash
-- (the error); 2 where it is heavy, and too much was read before it in this call; 1 where there is
-- no such key but a history; 0 where there is neither; for one that holds too much an object of
-- bytes and fields, those of them that are short.
local limit, total, found = tonumber(ARGV[1]), 0, {{}}

-- Bytes of the fields that may be long; where that may not be asked, so many that it has to wait.
local function weigh(key)
  local bytes = 0
  for _, field in ipairs({{{", ".join(map(repr, LONG_FIELDS))}}}) do
    local length = redis.pcall('HSTRLEN', key, field)
    if type(length) == 'table' then return {LIGHT_BYTES + 1} end
    bytes = bytes + length
  end
  return bytes
end

local function oversized(key, bytes)
  local names = {{{", ".join(map(repr, SHORT_FIELDS))}}}
  local fields, values = {{}}, redis.call('HMGET', key, unpack(names))
  for i, name in ipairs(names) do
    if values[i] and #values[i] < {SHORT_BYTES} then
      fields[#fields + 1], fields[#fields + 2] = name, values[i]
    end
  end
  return {{bytes = bytes, fields = fields}}
end

-- Bytes of all values; of what was declared only if it is too much by itself.
local function count(hash)
  local bytes, declared = 0, 0
  for i = 2, #hash, 2 do bytes = bytes + #hash[i] end
  if bytes <= {MAX_BYTES} then return bytes, bytes end
  for i = 1, #hash, 2 do
    if hash[i] == 'declared' then declared = #hash[i + 1] end
  end
  return math.max(bytes - declared, declared), bytes
end

for i = 2, #ARGV do
  local key = '{JOB_PREFIX}' .. ARGV[i]
  local bytes = total >= limit and weigh(key) or 0
  if bytes > {3 * MAX_BYTES} then
    found[i - 1] = oversized(key, bytes)
  elseif bytes > {LIGHT_BYTES} and i > 2 then
    found[i - 1] = 2
  else
    local hash = redis.pcall('HGETALL', key)
    if hash.err then
      found[i - 1] = hash.err
    elseif hash[1] then
      local counted, all = count(hash)
      total = total + all
      found[i - 1] = counted > {MAX_BYTES} and oversized(key, counted) or hash
    else
      found[i - 1] = redis.call('EXISTS', key .. '{HISTORY_SUFFIX}')
    end
  end
end
return cjson.encode(found)
"""

PRUNE = """
-- Take members out of the indexes that have neither a hash nor a history, and out of the errors
-- where no error stands in the hash.
-- KEYS: index, disabled index, errors; ARGV[1], ARGV[2]: what stands before and
-- behind an id in the name of its history, then the members.
-- Returns how many were taken out.
local pruned = 0
for i = 3, #ARGV do
  local hash, gone = ARGV[1] .. ARGV[i], 0
  if not redis.pcall('HGET', hash, 'last_error') then
    gone = redis.call('ZREM', KEYS[3], ARGV[i])
  end
  if redis.call('EXISTS', hash) == 0 then
    gone = math.max(gone, redis.call('ZREM', KEYS[2], ARGV[i]))
    -- With a history it is a name in RQ's own registry of cron jobs, which is the same key.
    if redis.call('EXISTS', hash .. ARGV[2]) == 0 then
      gone = math.max(gone, redis.call('ZREM', KEYS[1], ARGV[i]))
    end
  end
  pruned = pruned + gone
end
return pruned
"""

PLACE = (
    TIMES
    + f"""
-- Put schedules that are in no index back, take them out of the wrong one, and let those wait no
-- longer whose next time cannot be, or whose place is later than their next time says.
-- ARGV[1]: epoch seconds, ARGV[2]: UTC text, a moment later, then ids
-- Returns a JSON list: how many schedules there are, how many were placed, how many others were
-- only taken out of the wrong index, then the ids of those that ran later than that.
local now, soon = tonumber(ARGV[1]), ARGV[2]
local found = {{0, 0, 0}}

-- Whether it waits in vain; one in error is tried again a while after its time.
local function too_late(place, following, jitter)
  if place - now <= {LONGEST_DELAY + 1} then return false end
  jitter = tonumber(jitter) or 0
  if not (jitter > 0 and jitter <= {MAX_SECONDS}) then jitter = 0 end
  return place == math.huge or place > (epoch(following) or now) + jitter + 1
end

for i = 3, #ARGV do
  local id = ARGV[i]
  local hash = redis.pcall('HMGET', '{JOB_PREFIX}' .. id, 'enabled', 'latest_enqueue_time',
                           'next_enqueue_time', 'id', 'func_name', 'finished_at', 'jitter')
  if not hash.err and (hash[1] or hash[2] or hash[4] or hash[5]) then
    found[1] = found[1] + 1
    local waits, following = hash[1] ~= '0' and not epoch(hash[6]), hash[3]
    local index, other = '{INDEX}', '{DISABLED}'
    if not waits then index, other = other, index end
    if waits and (hash[2] or '') > soon then found[#found + 1] = id end
    local place = tonumber(redis.call('ZSCORE', index, id) or '')
    local wrong = waits and (epoch(following) and not sound(following, now)
                             or place and too_late(place, following, hash[7]))
    local misplaced = redis.call('ZREM', other, id)
    if wrong or not place then
      -- Due at once at the latest: dispatch reads the hash and corrects the place.
      redis.call('ZADD', index, ARGV[1], id)
      found[2] = found[2] + 1
    else
      found[3] = found[3] + misplaced
    end
  end
end
return cjson.encode(found)
"""
)
