-- A slice of the jobs in flight: those that have ended, and of those that run the ones that take
-- too long, or of which some receiver is to be told that they run, if that was not told yet; with
-- what RQ knows of them. Writes nothing.
--
-- KEYS[1]: the lock
-- ARGV[1]: the token that must hold the lock, ARGV[2]: cursor, 0 to begin, ARGV[3]: about how many
--   to look at, ARGV[4]: how many are returned at most, ARGV[5]: bytes of tracebacks after which no
--   more are returned, ARGV[6]: epoch seconds
-- Returns false if the token does not hold the lock; otherwise a JSON list: the next cursor, 0 at
--   the end; how many were looked at; whether any of these may not be returned; of each, also if
--   its hash is gone: its id, its entry, the values of LOOKED_AT_FIELDS in its hash, and of its
--   newest result, if it failed: id, type, packed traceback, worker.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return false end

-- include: look
-- include: epoch
-- include: alive

local most, room, found, some_left = tonumber(ARGV[4]), tonumber(ARGV[5]), {}, false
local is_over = {[false] = true} -- there is no hash, or no status in it
for _, status in ipairs(ENDED) do is_over[status] = true end

-- The seconds that a run may take; no number if that was told, or if there is no limit.
local LIMIT_PATTERN = '^%S+ %S+ %S+ (%S+) '

local function limit_of(entry, status)
  return status == 'started' and tonumber(string.match(entry, LIMIT_PATTERN))
end

-- Whether it runs, and some receiver is still to be told so.
local UNTOLD_PATTERN = '^%S+ %S+ %S+ %S+ [^%s!]+ '
local starts_are_told = redis.pcall('EXISTS', PROGRESS .. TOLD_SUFFIX) == 1

local function is_start(entry, status)
  return starts_are_told and status == 'started' and string.find(entry, UNTOLD_PATTERN)
end

local function is_too_long(entry, status, started_at)
  local limit = limit_of(entry, status)
  local since = limit and epoch(started_at)
  return since and tonumber(ARGV[6]) - since > limit
end

-- Whether more of its hash is to be read; `status`: the reply of Redis.
local function may_be_news(entry, status)
  return is_over[status] or type(status) == 'table' or limit_of(entry, status)
         or is_start(entry, status)
end

-- What was canceled while it ran may still finish.
local function is_news(job_id, entry, values)
  local status, started_at = values[1], values[2]
  if status == 'canceled' and is_alive(job_id, redis.pcall) then return false end
  return is_over[status] or is_too_long(entry, status, started_at) or is_start(entry, status)
end

local function take(job_id, entry)
  -- Damaged: RQ's ids of jobs are ASCII, and JSON could not tell others.
  if string.find(job_id, '[\128-\255]') then return end
  if #found == most or room <= 0 then
    some_left = true
    return
  end
  local values = look(job_id, entry)
  if not values or not is_news(job_id, entry, values) then return end
  local job = described(job_id, entry, values)
  if job[4] then room = room - #job[4][3] end
  found[#found + 1] = job
end

local cursor, entries = unpack(redis.call('HSCAN', IN_FLIGHT, ARGV[2], 'COUNT', ARGV[3]))
for i = 1, #entries, 2 do
  local job_id, entry = entries[i], entries[i + 1]
  local key = key_of(job_id, entry)
  local status = key and redis.pcall('HGET', key, 'status')
  if key and may_be_news(entry, status) then take(job_id, entry) end
end
return cjson.encode({cursor, #entries / 2, some_left, found})
