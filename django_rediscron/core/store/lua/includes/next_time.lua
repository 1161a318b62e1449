-- The next time of a schedule after a change, and since when nothing is left to run. Of `save`,
-- whose `now`, `now_text` and `once`, `as_leader` and `sound` it uses.

-- The later one of the stored latest time and the one to move forward to.
local function latest_time(change, stored)
  local latest = stored.latest_enqueue_time or ''
  if not epoch(latest) then latest = '' end
  local wanted = change.times.latest_enqueue_time
  return wanted and wanted > latest and wanted or latest
end

-- The schedule as the change makes it, but for its next time. `stored`: as it is; a new one has
-- nothing but enabled, created_at and next_enqueue_time.
local function merge(change, stored)
  local left_out, facts = {}, {}
  for _, name in ipairs(change.unset) do left_out[name] = true end
  local function value(name)
    return not left_out[name] and (change.fields[name] or stored[name]) or ''
  end
  for _, name in ipairs(FACTS) do facts[name] = value(name) end
  local changed = false
  for _, name in ipairs(TIMING_FIELDS) do
    if facts[name] ~= stored[name] then changed = true end
  end
  local latest, following = latest_time(change, stored), stored.next_enqueue_time
  facts.latest_enqueue_time = latest
  -- An interval that is not changed goes on in the rhythm of its next time, unless that only says
  -- that it was due at once.
  local goes_on = not changed and latest ~= '' and sound(following, now)
                  and following ~= stored.created_at
  facts.next_enqueue_time = goes_on and following or ''
  return {
    left_out = left_out, facts = facts, changed = changed, latest = latest, following = following,
    enabled = change.fields.enabled or (stored.enabled == '0' and '0' or '1'),
    jitter = value('jitter'), max_runs = value('max_runs'),
    created_at = epoch(stored.created_at) and stored.created_at
                 or change.fields.created_at or now_text,
  }
end

-- How many runs count, whether they are all there may be, and since when nothing is left to run.
local function set_end(schedule, stored)
  local finished_at, runs = stored.finished_at or '', stored.runs or ''
  if not epoch(finished_at) then finished_at = '' end
  if not string.match(runs, '^%d+$') or #runs > 15 then runs = '' end
  local end_moved = schedule.facts.end_at ~= (stored.end_at or '')
  local limit_moved = schedule.max_runs ~= (stored.max_runs or '')
  local max_runs = tonumber(schedule.max_runs) or math.huge
  local function used_up() return (tonumber(runs) or 0) >= max_runs end
  schedule.revived = finished_at ~= '' and (schedule.changed or end_moved or limit_moved)
  if used_up() and (schedule.changed or end_moved) then runs = '' end
  schedule.finished_at = schedule.revived and '' or finished_at
  schedule.runs, schedule.used_up = runs, used_up()
end

-- Whether the next time that the change brings was computed from what is so.
local function is_computed(change, schedule)
  if schedule.latest ~= '' and schedule.changed ~= change.retimed then return false end
  for name, fact in pairs(schedule.facts) do
    if fact ~= change.facts[name] then return false end
  end
  return true
end

-- The next time to move forward to, if any. What has run would run again: such a next time is that
-- of an object older than the hash.
local function wanted_time(change, schedule)
  local wanted, ran = change.times.next_enqueue_time, epoch(schedule.latest)
  if wanted and ran and epoch(wanted) <= ran then return nil end
  return wanted
end

-- The next time, '' for none, and since when nothing is left to run; or nothing if it has to be
-- computed anew.
local function next_time(change, schedule, stored)
  local following = schedule.following
  local renewed = schedule.changed or schedule.revived or not sound(following, now)
  local retime = renewed or (schedule.enabled == '1' and stored.enabled == '0')
  local wanted = wanted_time(change, schedule)
  if schedule.finished_at ~= '' then return '', schedule.finished_at end
  if schedule.used_up then return '', now_text end
  if wanted and (retime or wanted > following) then return wanted, '' end
  if not retime then return following, '' end
  if is_computed(change, schedule) then
    if change.next == '' then return '', now_text end
    if change.rules and not as_leader(change.rules) then return '', '' end
    return change.next, ''
  end
  if not once then return nil end
  if renewed or following <= now_text then return '', '' end
  return following, ''
end

-- Whether the change brings the next time, or that of the hash stands; false if neither is so.
local function set_next(change, schedule, stored)
  local following, finished_at = next_time(change, schedule, stored)
  if not following then return false end
  local end_at = epoch(schedule.facts.end_at)
  if following ~= '' and end_at and epoch(following) > end_at then
    following, finished_at = '', now_text
  end
  schedule.following, schedule.finished_at = following, finished_at
  return true
end
