-- The newest runs of schedules, those that have ended and those in flight. Writes nothing.
--
-- KEYS: none, because Redis refuses a script that declares a key that its user may not use
-- ARGV[1]: how many of each, -1 for all, then ids
-- Returns a JSON list, for each id: the records of runs that have ended, newest first; of each job
--   in flight, newest first: its id, its entry, the values of LOOKED_AT_FIELDS in its hash (false
--   if it cannot be read), and of its newest result, if it failed: id, type, packed traceback,
--   worker.

-- include: look

local last, found = tonumber(ARGV[1]), {}
if last > 0 then last = last - 1 end

local function in_flight(id)
  local looks = {}
  local job_ids = redis.pcall('ZREVRANGE', JOB_PREFIX .. id .. HISTORY_SUFFIX, 0, last)
  for _, job_id in ipairs(job_ids) do
    local entry = redis.pcall('HMGET', IN_FLIGHT, job_id)[1]
    if entry then looks[#looks + 1] = described(job_id, entry, look(job_id, entry)) end
  end
  return looks
end

for i = 2, #ARGV do
  local records = redis.pcall('LRANGE', RUNS_PREFIX .. ARGV[i], 0, last)
  found[i - 1] = {records.err and {} or records, in_flight(ARGV[i])}
end
return cjson.encode(found)
