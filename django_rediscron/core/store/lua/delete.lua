-- Delete schedules with their index entries and the ids of their jobs. What happened to them, such
-- as skipped runs and changes, stays on record.
--
-- KEYS: those of `changes`, then the hashes
-- ARGV[1]: epoch seconds, ARGV[2]: the same as UTC text, ARGV[3]: the actor
-- ARGV[4]: 'once' in a pipeline: a refusal is an error reply, and nothing is deleted; or a JSON
--   list of what a sync read of each, which are no longer declared: changed ones are kept, and no
--   tombstones are left
-- ARGV[5], ...: the ids in the order of the hashes
-- Returns for each: 1 if it existed, else 0; 'changed' if it is not what the sync read; the place
--   of its declaration if it is locked.

-- include: changes
-- include: as_expected
-- include: change_log

local replies, events, declared = {}, {}, {}
local expected = string.sub(ARGV[4], 1, 1) == '[' and cjson.decode(ARGV[4])

-- The fields about the code that declares the schedule; nil if none does, or no longer.
local function declaration(key)
  local names = {'source', 'application', 'place', 'declared', 'locked', 'orphaned_at'}
  local values = redis.pcall('HMGET', key, unpack(names))
  if values.err or values[1] ~= 'code' or values[6] then return nil end
  local told = {}
  for i, name in ipairs(names) do told[name] = values[i] or '' end
  return told
end

-- A schedule that is deleted while it is declared stays deleted.
local function leave_tombstone(id, told)
  told.locked, told.orphaned_at = nil, nil
  redis.call('HSET', DELETED, id, cjson.encode(told))
end

-- What to say of one that may not be deleted; nil for all others.
local function refusal(i, key, id)
  if expected then
    local kind = redis.call('TYPE', key).ok
    return not as_expected(key, id, kind, expected[i]) and 'changed' or nil
  end
  declared[i] = declaration(key)
  return declared[i] and declared[i].locked == '1' and declared[i].place or nil
end

-- Enter in the log that it is gone. `before`: its state before that.
local function enter(id, before, revision)
  revision = (tonumber(revision) or 0) + (before.outside and 2 or 1)
  log_change(id, before, {}, {
    at = ARGV[2], by = ARGV[3], what = 'deleted', revision = revision,
    reason = expected and NO_LONGER_DECLARED or nil,
  })
end

local function delete(key, id)
  local stored, revision = redis.pcall('HGETALL', key), redis.pcall('HGET', key, 'revision')
  local before = state_of(id, stored.err and {} or stored)
  local deleted = redis.call('DEL', key)
  if deleted == 1 then
    redis.call('ZREM', INDEX, id)
    redis.call('DEL', key .. HISTORY_SUFFIX)
    redis.pcall('DEL', BACKFILL_PREFIX .. id)
    enter(id, before, revision)
    events[#events + 1] = cjson.encode({event = 'deleted', job_id = id})
  end
  redis.call('ZREM', DISABLED, id)
  redis.call('ZREM', DISABLED_UNTIL, id)
  redis.call('ZREM', ERRORS, id)
  return deleted
end

for i, key in ipairs(hashes) do
  local id = ARGV[i + 4]
  replies[i] = refusal(i, key, id)
  if replies[i] and ARGV[4] == 'once' then
    return redis.error_reply('SCHEDULELOCKED nothing was deleted: ' .. id
                             .. ' is locked; remove it where it is declared: ' .. replies[i])
  end
end
for i, key in ipairs(hashes) do
  local id = ARGV[i + 4]
  if not replies[i] then
    replies[i] = delete(key, id)
    if declared[i] then leave_tombstone(id, declared[i]) end
  end
end
if #events > 0 then announce(ARGV[1], events) end
return replies
