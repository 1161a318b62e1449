-- Write plain schedules that do not exist yet, much faster than `save`, which writes all others.
--
-- KEYS: those of `changes`, then the hashes
-- ARGV[1]: epoch seconds
-- ARGV[2]: JSON list, for each: its score in the index ('' for none: it is disabled), '1' for a
--   cron expression, then all fields and values, the id first, the next time last
-- ARGV[3]: JSON list, the rules of the local zone
-- ARGV[4]: UTC text, ARGV[5]: the actor
-- Returns the positions, from 1, of those that were not written, because they exist or were deleted
--   by hand while declared; and 0 if the leader computes the next times of cron expressions.

-- include: changes
-- include: as_leader
-- include: change_log

local now, left, events = ARGV[1], {}, {}
local rules, ours = cjson.decode(ARGV[3]), nil
local ids, scores = {[INDEX] = {}, [DISABLED] = {}}, {}
local told = {at = ARGV[4], by = ARGV[5], what = 'created', revision = 0}
local deletions = redis.call('EXISTS', DELETED) == 1

-- Write a hash, without its next time if the leader computes that.
local function write(key, item)
  local id, length = item[4], #item
  if item[2] == '1' then
    if ours == nil then ours = as_leader(rules) end
    if not ours then
      length = length - 2
      if item[1] ~= '' then item[1] = now end
    end
  end
  redis.call('HSET', key, unpack(item, 3, length))
  log_change(id, state_of(id, {}), definition_in(item, 3), told)
  local index = item[1] == '' and DISABLED or INDEX
  table.insert(ids[index], id)
  scores[id] = item[1] == '' and now or item[1]
  events[#events + 1] = '{"event":"created","job_id":' .. cjson.encode(id) .. '}'
end

local function enter(index, other, members)
  local scored = {}
  for _, id in ipairs(members) do
    scored[#scored + 1] = scores[id]
    scored[#scored + 1] = id
  end
  redis.call('ZADD', index, unpack(scored))
  redis.call('ZREM', other, unpack(members))
  redis.call('ZREM', ERRORS, unpack(members))
end

for i, item in ipairs(cjson.decode(ARGV[2])) do
  if redis.call('EXISTS', hashes[i]) == 1
     or (deletions and redis.call('HGET', DELETED, item[4])) then
    left[#left + 1] = i
  else
    write(hashes[i], item)
  end
end
for index, members in pairs(ids) do
  if members[1] then enter(index, index == INDEX and DISABLED or INDEX, members) end
end
if #events > 0 then announce(now, events) end
if ours == false then left[#left + 1] = 0 end
return left
