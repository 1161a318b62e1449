-- What RQ knows of a job in flight.

local HAVE_ERRORS = {failed = true, stopped = true}

local function is_of_another_type(reply)
  return type(reply) == 'table' and reply.err and string.find(reply.err, 'WRONGTYPE', 1, true)
end

-- Id, type, packed traceback and worker of the newest result of a job.
local function latest_result(job_id)
  local reply = redis.pcall('XREVRANGE', RESULTS_PREFIX .. job_id, '+', '-', 'COUNT', 1)
  local newest = not reply.err and reply[1]
  if not newest then return nil end
  local found = {}
  for i = 1, #newest[2], 2 do found[newest[2][i]] = newest[2][i + 1] end
  return {newest[1], found.type or '', found.exc_string or '', found.worker_name or ''}
end

-- The key of the job's hash, by its entry in IN_FLIGHT; nil if that is damaged.
local function key_of(job_id, entry)
  local prefix = string.match(entry, PREFIX_PATTERN)
  if prefix == '-' then prefix = RQ_JOB_PREFIX end
  return prefix and prefix .. job_id
end

-- The values of LOOKED_AT_FIELDS in its hash, all false if there is none; nil if Redis refuses to
-- read it, or if its entry is damaged.
local function look(job_id, entry)
  local key = key_of(job_id, entry)
  if not key then return nil end
  local values = redis.pcall('HMGET', key, unpack(LOOKED_AT_FIELDS))
  if is_of_another_type(values) then return {false} end
  if values.err then return nil end
  return values
end

local function described(job_id, entry, values)
  return {job_id, entry, values or false,
          values and HAVE_ERRORS[values[1]] and latest_result(job_id) or nil}
end
