-- A schedule that fails too often is disabled.

-- include: changes
-- include: change_log
-- include: off
-- include: raise_revision

-- Whether so many failures in a row are too many for a schedule that is enabled.
local function are_too_many(key, failures)
  local limits = redis.pcall('HMGET', key, 'max_failures', 'enabled')
  local limit = tonumber(limits[1] or nil)
  return limit and failures >= limit and limits[2] ~= '0'
end

-- Enter in the log what was changed outside; returns the failures since it was enabled, the latest
-- one of which has just been counted.
local function since_enabled(id, key, failures, told)
  local state = state_of(id, redis.call('HGETALL', key))
  if not (state.outside and enables(state.known, state.actual)) then return failures end
  local noticed = {at = told.at, by = told.by, what = 'updated', revision = raise_revision(key) + 1}
  log_change(id, state, state.actual, noticed)
  return redis.call('HINCRBY', OUTCOMES_PREFIX .. id, 'failures', 1)
end

-- Disable a schedule as an editor would. `told`: at, by, reason.
local function disable(id, key, now, told)
  local state = state_of(id, redis.call('HGETALL', key))
  redis.call('HSET', key, 'enabled', '0', 'updated_at', told.at)
  redis.call('HDEL', key, 'last_error', 'last_error_at')
  note_off(id, key, told)
  if state.outside then raise_revision(key) end
  told.what, told.revision = 'updated', raise_revision(key)
  log_change(id, state, definition_in(redis.call('HGETALL', key), 1), told)
  redis.call('ZREM', ERRORS, id)
  redis.call('ZADD', DISABLED, now, id)
  redis.call('ZREM', INDEX, id)
  announce(now, {cjson.encode({event = 'disabled', job_id = id})})
end

-- Disable a schedule if so many failures in a row are too many. Returns how many those are, or nil.
local function disable_if_failing(id, failures, now, at, by)
  local key = JOB_PREFIX .. id
  if not are_too_many(key, failures) then return nil end
  failures = since_enabled(id, key, failures, {at = at, by = by})
  if not are_too_many(key, failures) then return nil end
  local count = string.format('%d', failures)
  local reason = failures == 1 and '1 failed run' or count .. ' failed runs in a row'
  disable(id, key, now, {at = at, by = by, reason = reason})
  return failures
end
