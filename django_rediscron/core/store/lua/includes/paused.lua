-- Which occurrences may not be enqueued, as their queue is paused, or was when they came due. Of
-- `dispatch`.

-- include: pauses
-- include: jitter

-- A pause, or an earlier one of the same queue, during which nothing is enqueued (`is_on`), or from
-- `first` to `last` of which what came due is skipped, or was held. `text`: for the leader.
local function span_of(queue, pause, from, till)
  local told = {queue = queue, by = pause.by, reason = pause.reason, missed = pause.missed,
                ['until'] = pause['until'], at = from, ended = till}
  return {is_on = not till, first = epoch(from), last = epoch(till), skips = pause.missed == 'skip',
          text = cjson.encode(told)}
end

local function spans_of(queue, text, now)
  local spans, pause = {}, pause_from(text)
  if not pause then return spans end
  local ended = end_of(pause, now)
  spans[1] = span_of(queue, pause, pause.at, ended)
  spans[1].was_held = ended and pause.missed ~= 'skip'
  for _, earlier in ipairs(pause.earlier or {}) do
    local skipped = {by = pause.by, reason = pause.reason, missed = 'skip'}
    spans[#spans + 1] = span_of(queue, skipped, earlier[1], earlier[2])
  end
  return spans
end

-- What cannot be read pauses nothing: schedules run all the same.
local paused = redis.pcall('HGETALL', PAUSED_QUEUES)
local is_any_paused = paused[1] ~= nil
local spans_by_queue = {}
for i = 1, #paused, 2 do
  local is_read, spans = pcall(spans_of, paused[i], paused[i + 1], tonumber(ARGV[5]))
  spans_by_queue[paused[i]] = is_read and spans or nil
end

-- The spans that concern a queue, those of pauses that are on first; nil without any.
local function pauses_of(queue)
  if not is_any_paused then return nil end
  local found = {}
  for _, name in ipairs({'*', queue}) do
    for _, span in ipairs(spans_by_queue[name] or {}) do
      if span.is_on then
        table.insert(found, 1, span)
      elseif span.first and span.last and not span.was_held then
        found[#found + 1] = span
      end
    end
  end
  return found[1] and found or nil
end

-- Whether a schedule that was due then waited for the end of a pause.
local function was_held(id, due)
  local queue = is_any_paused and redis.pcall('HGET', JOB_PREFIX .. id, 'queue_name')
  for _, name in ipairs(type(queue) == 'string' and {'*', queue} or {}) do
    for _, span in ipairs(spans_by_queue[name] or {}) do
      local first, last = span.was_held and span.first, span.last
      if first and last and due >= first and due < last then return true end
    end
  end
  return false
end

-- When an occurrence of this nominal time comes due; nil for ''.
local function due_time(id, key, time)
  local nominal = epoch(time)
  return nominal and nominal + jitter_delay(id, time, redis.call('HGET', key, 'jitter'))
end

-- Whether an occurrence, or the first of those that it stands for, may not be enqueued; adds why,
-- as JSON, to `lines`.
local function is_paused(spans, id, key, first, latest, lines)
  local found = spans[1].is_on and spans[1]
  if not found then
    local times = {due_time(id, key, latest), due_time(id, key, first)}
    for _, span in ipairs(spans) do
      for _, due in ipairs(times) do
        found = found or (due >= span.first and due < span.last and span)
      end
    end
  end
  if found then lines[#lines + 1] = '\n' .. found.text end
  return found
end

-- Whether occurrences that would be skipped by the schedule's own policy are to be skipped because
-- they came due during a pause; adds why to `lines`. `records`: of these skips, oldest first.
local function are_paused(id, key, records, lines)
  local queue = is_any_paused and redis.pcall('HGET', key, 'queue_name')
  local spans = type(queue) == 'string' and pauses_of(queue)
  if not spans then return false end
  local oldest, newest = cjson.decode(records[1]), cjson.decode(records[#records])
  if oldest.reason == 'paused' then return false end
  local first = due_time(id, key, oldest.occurrence)
  local last = due_time(id, key, newest['until'])
  for _, span in ipairs(spans) do
    if span.skips and last >= span.first and (span.is_on or first < span.last) then
      lines[#lines + 1] = '\n' .. span.text
      return true
    end
  end
  return false
end
