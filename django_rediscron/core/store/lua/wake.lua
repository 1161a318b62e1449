-- Give schedules that waited for the end of a pause the scores that follow from their hashes.
--
-- KEYS[1]: the index, KEYS[2]: the lock
-- ARGV[1]: the token that must hold the lock, ARGV[2]: lowest and ARGV[3]: highest score to look
-- at, ARGV[4]: how many of them to leave out, ARGV[5]: how many to look at
-- Returns false if the token does not hold the lock and nothing was done; otherwise a list of how
--   many it looked at, and how many of them have other scores now

-- include: epoch
-- include: jitter

local index, lock = KEYS[1], KEYS[2]
if redis.call('GET', lock) ~= ARGV[1] then return false end

local looked, moved = 0, {}

-- One in error waits for its next attempt.
local function look(id, score)
  local hash = redis.pcall('HMGET', JOB_PREFIX .. id, 'next_enqueue_time', 'jitter', 'last_error')
  local due = not hash.err and epoch(hash[1])
  if not due or (hash[3] or '') ~= '' then return end
  due = due + jitter_delay(id, hash[1], hash[2])
  if due < score - 0.001 then
    moved[#moved + 1], moved[#moved + 2] = string.format('%.6f', due), id
  end
end

local members = redis.call('ZRANGEBYSCORE', index, ARGV[2], ARGV[3], 'WITHSCORES',
                           'LIMIT', ARGV[4], ARGV[5])
for i = 1, #members, 2 do
  look(members[i], tonumber(members[i + 1]))
  looked = looked + 1
end
if moved[1] then redis.call('ZADD', index, unpack(moved)) end
return {looked, #moved / 2}
