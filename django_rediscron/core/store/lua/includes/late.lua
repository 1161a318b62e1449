-- Notifications of late schedules. Of `dispatch`.

-- include: notify
-- include: paused

local LATE_ITEMS, REMEMBERED = 6, 86400
local DONE = {[WRITTEN] = true, [NEARLY_FULL] = true, [OVERLAPPED] = true}

-- Which of the late schedules to tell, once their occurrences have been enqueued or skipped.
-- `late`: see ARGV[9] of `dispatch`. `outcomes`: of all occurrences and corrections.
-- LATE: a sorted set of the schedules by when each was told last. What was due by then was missed
-- for the same cause: that is told once, even if it takes several batches, or several leaders. What
-- is late because it was paused is not told.
local function tell_late(late, outcomes, moment)
  if not has_receivers(ALARMS) then return end
  for at = 1, #late, LATE_ITEMS do
    local number, id, occurrence, due, seconds, reason = unpack(late, at, at + LATE_ITEMS - 1)
    local outcome = outcomes[tonumber(number)]
    local told = tonumber(redis.pcall('ZSCORE', LATE, id) or nil)
    local is_known = told and tonumber(due) <= told or was_held(id, tonumber(due))
    if DONE[outcome] and not is_known then
      if outcome == OVERLAPPED and reason == '' then reason = '"overlap"' end
      redis.pcall('ZADD', LATE, moment, id)
      local facts = {'occurrence', occurrence, 'late_seconds', seconds}
      if reason ~= '' then facts[5], facts[6] = 'reason', reason end
      notify(ALARMS, 'schedule_late', id, unpack(facts))
    end
  end
  redis.pcall('ZREMRANGEBYSCORE', LATE, '-inf', moment - REMEMBERED)
  redis.pcall('EXPIRE', LATE, REMEMBERED)
end
