-- The queues, functions and tags that a page of schedules uses. Writes nothing.
--
-- KEYS[1]: a sorted set of ids
-- ARGV[1]: cursor, ARGV[2]: count, ARGV[3]: KEYS[1] again, used if that is missing, because a user
--   who may only read a key may not declare it
-- Returns JSON: {the next cursor, queues, functions, tags}.

local reply = redis.call('ZSCAN', KEYS[1] or ARGV[3], ARGV[1], 'COUNT', ARGV[2])
local queues, functions, tags = {}, {}, {}
for i = 1, #reply[2], 2 do
  local values = redis.pcall('HMGET', JOB_PREFIX .. reply[2][i], 'queue_name', 'func_name', 'tags')
  if not values.err then
    if values[1] then queues[values[1]] = true end
    if values[2] then functions[values[2]] = true end
    for tag in string.gmatch(values[3] or '', '%S+') do tags[tag] = true end
  end
end

local function names(set)
  local list = {}
  for name in pairs(set) do list[#list + 1] = name end
  return list
end

return cjson.encode({reply[1], names(queues), names(functions), names(tags)})
