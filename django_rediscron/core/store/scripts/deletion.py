"""The script that deletes schedules."""

from __future__ import annotations

from ..keys import DISABLED, ERRORS, INDEX, SKIPPED_PREFIX
from .changes import CHANGED
from .origin import GUARD

DELETE = (
    CHANGED
    + GUARD
    + f"""
-- Delete schedules with their places in the indexes and their histories.
-- KEYS: the hashes. ARGV[1]: epoch seconds; ARGV[2]: 'once' in a pipeline, where a refusal is an
-- error reply and nothing is deleted, or a JSON list of what a sync read of each, which deletes
-- nothing else and leaves no tombstones; then the ids in the order of the keys.
-- Returns for each 1 if there was one, else 0; 'changed' if it is not what a sync read; if it is
-- locked the place where it is declared.
local replies, events, declared = {{}}, {{}}, {{}}
local expected = string.sub(ARGV[2], 1, 1) == '[' and cjson.decode(ARGV[2])
for i, key in ipairs(KEYS) do
  if expected then
    local kind = redis.call('TYPE', key).ok
    if not as_expected(key, ARGV[i + 2], kind, expected[i]) then replies[i] = 'changed' end
  else
    declared[i] = declaration(key)
    if declared[i] and declared[i].locked == '1' then
      replies[i] = declared[i].place
      if ARGV[2] == 'once' then
        return redis.error_reply('SCHEDULELOCKED nothing was deleted: ' .. ARGV[i + 2]
                                 .. ' is locked; remove it where it is declared: ' .. replies[i])
      end
    end
  end
end
for i, key in ipairs(KEYS) do
  local id = ARGV[i + 2]
  if not replies[i] then
    replies[i] = redis.call('DEL', key)
    if replies[i] == 1 then
      redis.call('ZREM', '{INDEX}', id)
      redis.call('DEL', key .. ':jobs', '{SKIPPED_PREFIX}' .. id)
      events[#events + 1] = cjson.encode({{event = 'deleted', job_id = id}})
    end
    redis.call('ZREM', '{DISABLED}', id)
    redis.call('ZREM', '{ERRORS}', id)
    if declared[i] then leave_tombstone(id, declared[i]) end
  end
end
if #events > 0 then announce(ARGV[1], events) end
return replies
"""
)
