-- Mark jobs in flight as told: that they have started, or that they take too long; and enter that
-- for the receivers.
--
-- KEYS[1]: the lock, KEYS[2]: the hash of the jobs in flight
-- ARGV[1]: the token that must hold the lock
-- ARGV[2]: JSON list, for each: id of the job, kind of the notification, id of the schedule, record
--   of the run
-- Returns false if the token does not hold the lock and nothing was done; otherwise the places in
--   that list, the first is 1, of those that are still in flight. What was marked before is this
--   same call again, whose reply was lost: the holder of the lock asks for what it has not told.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return false end

-- include: notify

-- The number in an entry that a mark follows: its limit, or how often RQ may retry it.
local MARKED = {
  run_too_long = '^(%S+ %S+ %S+ )([^%s!]+)(!?)( .*)',
  run_started = '^(%S+ %S+ %S+ %S+ )([^%s!]+)(!?)( .*)',
}

local function tell(kind, id, record, number)
  if kind == 'run_too_long' then
    notify(ALARMS, kind, id, 'run', record, 'max_runtime', number)
  else
    notify(PROGRESS, kind, id, 'run', record)
  end
end

local marked = {}
for place, item in ipairs(cjson.decode(ARGV[2])) do
  local job_id, kind, id, record = unpack(item)
  local entry = redis.call('HGET', KEYS[2], job_id) or ''
  local before, number, mark, after = string.match(entry, MARKED[kind])
  if tonumber(number) then
    if mark == '' then
      redis.call('HSET', KEYS[2], job_id, before .. number .. '!' .. after)
      tell(kind, id, record, number)
    end
    marked[#marked + 1] = place
  end
end
return marked
