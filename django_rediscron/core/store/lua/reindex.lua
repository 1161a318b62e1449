-- Put schedules that are in no index back, take them out of the wrong one, and make those due at
-- once whose next time is impossible, or whose score is later than their next time. Put those that
-- the leader is to enable where it looks.
--
-- KEYS[1]: index, KEYS[2]: disabled index
-- ARGV[1]: epoch seconds, ARGV[2]: UTC text, a moment later, then the ids
-- Returns a JSON list: how many schedules there are, how many were put back, how many others were
--   only removed from the wrong index, then the ids of those whose latest run is after ARGV[2].

-- include: sound

local INDEX, DISABLED = KEYS[1], KEYS[2]
local now, soon = tonumber(ARGV[1]), ARGV[2]
local found = {0, 0, 0}
local FIELDS = {'enabled', 'latest_enqueue_time', 'next_enqueue_time', 'id', 'func_name',
                'finished_at', 'jitter', 'disabled_until'}

-- Whether it waits in vain; one in error is tried again a while after its time.
local function too_late(score, following, jitter)
  if score - now <= LONGEST_DELAY + 1 then return false end
  jitter = tonumber(jitter) or 0
  if not (jitter > 0 and jitter <= MAX_SECONDS) then jitter = 0 end
  return score == math.huge or score > (epoch(following) or now) + jitter + 1
end

local function put(id, enabled, latest, following, finished_at, jitter)
  local waits = enabled ~= '0' and not epoch(finished_at)
  local index, other = INDEX, DISABLED
  if not waits then index, other = other, index end
  if waits and (latest or '') > soon then found[#found + 1] = id end
  local score = tonumber(redis.call('ZSCORE', index, id) or '')
  local wrong = waits and (epoch(following) and not sound(following, now)
                           or score and too_late(score, following, jitter))
  local misplaced = redis.call('ZREM', other, id)
  if wrong or not score then
    -- Due at once at the latest: dispatch reads the hash and corrects the score.
    redis.call('ZADD', index, ARGV[1], id)
    found[2] = found[2] + 1
  else
    found[3] = found[3] + misplaced
  end
end

for i = 3, #ARGV do
  local hash = redis.pcall('HMGET', JOB_PREFIX .. ARGV[i], unpack(FIELDS))
  if not hash.err and (hash[1] or hash[2] or hash[4] or hash[5]) then
    found[1] = found[1] + 1
    put(ARGV[i], hash[1], hash[2], hash[3], hash[6], hash[7])
    local ends = hash[1] == '0' and epoch(hash[8])
    if ends then
      redis.pcall('ZADD', DISABLED_UNTIL, 'NX', string.format('%.6f', ends), ARGV[i])
    end
  end
end
return cjson.encode(found)
