-- Count the schedules of a page of an index by queue and state. Writes nothing.
--
-- KEYS[1]: the index; without it the key is ARGV[3]
-- ARGV[1]: cursor, ARGV[2]: about how many members to look at, ARGV[3]: KEYS[1] again, used if that
--   is missing, because a user who may only read a key may not declare it
-- Returns JSON: the next cursor, 0 at the end; list of queue, state, count, queue, ...
-- Members without a hash are left out, for they are names of RQ's own cron, or stale.

-- include: state

local counts = {}

local function count(id)
  local key = JOB_PREFIX .. id
  local values = redis.pcall('HMGET', key, 'enabled', 'finished_at', 'last_error', 'queue_name')
  local enabled, finished_at, last_error, queue = unpack(values)
  local is_hash = not values.err
  if is_hash and not queue and redis.call('EXISTS', key) == 0 then return end
  local state = state_from(enabled, finished_at, last_error, is_hash)
  local of_queue = counts[queue or '']
  if not of_queue then
    of_queue = {}
    counts[queue or ''] = of_queue
  end
  of_queue[state] = (of_queue[state] or 0) + 1
end

local cursor, members = unpack(redis.call('ZSCAN', KEYS[1] or ARGV[3], ARGV[1], 'COUNT', ARGV[2]))
for i = 1, #members, 2 do count(members[i]) end
local found = {}
for queue, of_queue in pairs(counts) do
  for state, number in pairs(of_queue) do
    found[#found + 1] = queue
    found[#found + 1] = state
    found[#found + 1] = number
  end
end
return cjson.encode({cursor, found})
