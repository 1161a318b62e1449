-- Find the schedules that are to be enabled now, and correct the scores of others.
--
-- KEYS[1]: the lock, KEYS[2]: the ids of schedules by when they are to be enabled
-- ARGV[1]: the token that must hold the lock, ARGV[2]: epoch seconds, ARGV[3]: how many at most,
-- ARGV[4]: seconds after which one that cannot be read is tried again
-- Returns false if the token does not hold the lock and nothing was done; otherwise a JSON list of
--   ids and the times that stand in their hashes alternately.

-- include: epoch

local lock, ends = KEYS[1], KEYS[2]
if redis.call('GET', lock) ~= ARGV[1] then return false end

local now, found = tonumber(ARGV[2]), {}

local function look(id)
  local key = JOB_PREFIX .. id
  local hash = redis.pcall('HMGET', key, 'enabled', 'disabled_until', 'locked')
  if hash.err then
    redis.call('ZADD', ends, now + ARGV[4], id)
    return
  end
  local enabled, text, locked = unpack(hash)
  local time = enabled == '0' and epoch(text)
  if not time then
    redis.call('ZREM', ends, id)
  elseif locked == '1' then -- by now the code says whether it runs
    redis.call('HDEL', key, 'disabled_until')
    redis.call('ZREM', ends, id)
  elseif time > now then
    redis.call('ZADD', ends, string.format('%.6f', time), id)
  else
    found[#found + 1], found[#found + 2] = id, text
  end
end

local due = redis.call('ZRANGEBYSCORE', ends, '-inf', now, 'LIMIT', 0, ARGV[3])
for _, id in ipairs(due) do look(id) end
return found[1] and cjson.encode(found) or '[]'
