-- Enter a pause of this queue among those that are over.
local function enter_past(pauses, queue, pause)
  pause.queue, pause.earlier, pause.woken = queue, nil, nil
  if redis.call('TYPE', pauses).ok ~= 'list' then redis.call('DEL', pauses) end
  redis.call('LPUSH', pauses, cjson.encode(pause))
  redis.call('LTRIM', pauses, 0, MAX_PAUSES - 1)
end
