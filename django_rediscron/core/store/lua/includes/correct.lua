-- Corrections: errors, other next times or scores, skips, the end of a schedule. Of `dispatch`.

-- The first failure to enqueue a schedule. `text`: the record of it.
local function tell_error(id, text)
  local failure = cjson.decode(text)
  local due, reason = failure.occurrence, cjson.encode(failure.text)
  notify(ALARMS, 'schedule_error', id, 'occurrence', due, 'error', reason)
end

local function correct(item)
  local id, seen, set, score, failed, records, is_finished = unpack(item)
  local key = JOB_PREFIX .. id
  if not seen[1] then
    if try('HGETALL', key)[1] then return CHANGED end
  elseif not unchanged(key, id, unpack(seen)) then
    return CHANGED
  end
  if records[1] and failed ~= 1 and are_paused(id, key, records, lines) then return PAUSED end
  local had_error = records[1] and call('HGET', key, 'last_error')
  -- What is skipped could be enqueued, if it were not late.
  local is_healed = had_error and failed ~= 1
  if is_healed then try_deletions(key) end
  if failed ~= 1 then
    record(id, records)
  elseif not had_error then
    pcall(record, id, records) -- the error itself counts, even if there is no list for it
  end
  if is_finished == 1 then
    move_on(key, id, '')
    if is_healed then heal(key, id) end
    return WRITTEN
  end
  if failed == 1 then try('ZADD', ERRORS, moment, id) end
  if set[1] then call('HSET', key, unpack(set)) end
  if score ~= '' then
    put(id, score)
  else
    try('ZADD', DISABLED, call('ZSCORE', INDEX, id) or 0, id)
    call('ZREM', INDEX, id)
  end
  if is_healed then heal(key, id) end
  if failed == 1 and records[1] and not had_error then pcall(tell_error, id, records[1]) end
  return WRITTEN
end
