-- Enter in the logs of these schedules what programs that keep no log changed of them.
--
-- KEYS[1]: since when every schedule has had a log
-- ARGV[1]: the time as UTC text, then the ids
-- Returns how many of them it looked at: not all if they are large.

-- include: change_log
-- include: forget_off
-- include: raise_revision

-- Let the log of a schedule that never changes live on, with few writes.
local function renew(key)
  local left = redis.pcall('PTTL', key)
  if type(left) == 'number' and left < 1000 * (CHANGES_TTL - RENEWED_AFTER) then
    redis.pcall('EXPIRE', key, CHANGES_TTL)
  end
end

-- The revision behind that of the entry, as `log_change` takes it; 0 if the schedule is gone.
local function following_revision(key, state, exists)
  if not exists then return 0 end
  if state.known then return raise_revision(key) + 1 end
  return (tonumber(redis.call('HGET', key, 'revision') or '') or 0) + 1
end

local spent = 0

local function note(id)
  local key = JOB_PREFIX .. id
  local stored = redis.pcall('HGETALL', key)
  if stored.err then
    if not string.find(stored.err, 'WRONGTYPE', 1, true) then return end
    stored = {}
  end
  for _, text in ipairs(stored) do spent = spent + #text end
  local state, exists = state_of(id, stored), stored[1] ~= nil
  if state.is_secret or not (state.known or exists) then return end
  if state.outside then
    if enables(state.known, state.actual) then forget_off(id, key) end
    local revision = following_revision(key, state, exists)
    log_change(id, state, state.actual, {at = ARGV[1], revision = revision})
  elseif not state.known then
    log_change(id, state, state.actual, {at = ARGV[1], revision = 0})
  elseif exists then
    renew(CHANGES_PREFIX .. id)
  elseif not redis.pcall('ZSCORE', GONE, id) then
    local newest = logged(id, 1)
    enter_gone(id, newest and newest.at)
  end
end

for i = 2, #ARGV do
  note(ARGV[i])
  if spent > SLICE_BYTES then return i - 1 end
end
return #ARGV - 1
