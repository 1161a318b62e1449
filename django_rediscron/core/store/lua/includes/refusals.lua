-- Writes that Redis may refuse for one schedule only: by permissions, or by the type of a key.

-- include: read_any

-- What takes back the writes of the schedule in hand, if a later one of them is refused.
local undo = {}

local function take_back()
  for i = #undo, 1, -1 do redis.pcall(unpack(undo[i])) end
  undo = {}
end

local function add(key, field, number)
  if type(redis.pcall('HINCRBY', key, field, number)) ~= 'number' then return end
  undo[#undo + 1] = {'HINCRBY', key, field, -number}
end

-- Count skipped occurrences for ever, of the schedule and in sum, as far as Redis lets us.
local function count_skips(id, records)
  local key = OUTCOMES_PREFIX .. id
  for _, text in ipairs(records) do
    local skip = cjson.decode(text)
    if skip.reason ~= 'error' then
      add(key, 'skipped ' .. skip.reason, skip.count)
      add(COUNTS, 'skipped ' .. skip.reason, skip.count)
    end
  end
  redis.pcall('EXPIRE', key, STORY_TTL)
end

-- Skipped occurrences. What can take the records back is tried before they are written.
local function record(id, records)
  if not records[1] then return end
  local key = SKIPPED_PREFIX .. id
  if is_wrong_type(redis.pcall('LTRIM', key, 0, -1)) then redis.call('DEL', key) end
  redis.call('LTRIM', key, 0, -1)
  redis.call('LPUSH', key, unpack(records))
  undo[#undo + 1] = {'LTRIM', key, #records, -1}
  redis.call('LTRIM', key, 0, SKIPS_KEPT - 1)
  redis.call('EXPIRE', key, SKIPS_TTL)
  count_skips(id, records)
end

-- Deletions come after other writes. Raises an error if they would be refused then.
local function try_deletions(key)
  redis.call('HDEL', key, 'no such field')
  redis.call('ZREM', INDEX, '')
end

-- Enqueues an RQ job as the class of its queue would. What can take that back is tried before.
local function send(commands, job, queue, job_id)
  redis.call('ZREM', INDEX, '')
  redis.call('DEL', job)
  redis.call('LREM', job, 0, '') -- the queue may be long
  redis.call('LTRIM', queue, 0, -1)
  undo[#undo + 1] = {'DEL', job}
  undo[#undo + 1] = {'LREM', queue, 0, job_id}
  for _, command in ipairs(commands) do redis.call(unpack(command)) end
end

-- Writes and pushes the first RQ job with these shared fields, in a way that can be taken back.
-- Raises an error if that is refused; if not, no other job with them can be refused in this script.
local function write_first(shared, job, job_id)
  redis.call('ZREM', INDEX, '')
  redis.call('DEL', job)
  redis.call('HSET', job, unpack(shared.fields))
  undo[#undo + 1] = {'DEL', job}
  if shared.ttl > 0 then redis.call('EXPIRE', job, shared.ttl) end
  if shared.queue == '' then return end
  redis.call('LTRIM', shared.queue, 0, -1)
  if shared.at_front == 1 then
    -- Only for a moment: it is to come before those that are pushed later.
    redis.call('LPUSH', shared.queue, job_id)
    redis.call('LTRIM', shared.queue, 1, -1)
  else
    redis.call('RPUSH', shared.queue, job_id)
    undo[#undo + 1] = {'LTRIM', shared.queue, 0, -2}
  end
end
