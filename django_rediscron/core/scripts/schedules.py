"""Many schedules at once."""

from __future__ import annotations

from ..keys import DISABLED, HISTORY_SUFFIX, INDEX, JOB_PREFIX
from .times import TIMES

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

PRUNE = """
-- Take members out of the indexes that have neither a hash nor a history.
-- KEYS: index, disabled index, errors; ARGV[1], ARGV[2]: what stands before and
-- behind an id in the name of its history, then the members.
-- Returns how many were taken out.
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

PLACE = (
    TIMES
    + f"""
-- Put schedules that are in no index back, and let those wait no longer whose next time cannot be.
-- ARGV[1]: epoch seconds, ARGV[2]: UTC text, a moment later, then ids
-- Returns a JSON list: how many were put back, then the ids of those that ran later than that.
local now, soon = ARGV[1], ARGV[2]
local found = {{0}}
for i = 3, #ARGV do
  local id = ARGV[i]
  local hash = redis.pcall('HMGET', '{JOB_PREFIX}' .. id, 'enabled', 'latest_enqueue_time',
                           'next_enqueue_time', 'id', 'func_name', 'finished_at')
  if not hash.err and (hash[1] or hash[2] or hash[4] or hash[5]) then
    local waits, following = hash[1] ~= '0' and not epoch(hash[6]), hash[3]
    local index, other = '{INDEX}', '{DISABLED}'
    if not waits then index, other = other, index end
    if waits and (hash[2] or '') > soon then found[#found + 1] = id end
    local never = waits and epoch(following) and not sound(following, now)
    if never or not redis.call('ZSCORE', index, id) then
      -- Due at once at the latest: dispatch reads the hash and corrects the place.
      redis.call('ZADD', index, now, id)
      redis.call('ZREM', other, id)
      found[1] = found[1] + 1
    end
  end
end
return cjson.encode(found)
"""
)
