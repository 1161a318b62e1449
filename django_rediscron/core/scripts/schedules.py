"""Many schedules at once."""

from __future__ import annotations

from ..keys import HISTORY_SUFFIX, JOB_PREFIX

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
