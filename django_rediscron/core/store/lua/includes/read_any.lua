-- Reads keys that may be of any type.

local function is_wrong_type(reply)
  return type(reply) == 'table' and reply.err and string.find(reply.err, 'WRONGTYPE', 1, true)
end

-- The reply, even if the key is of the wrong type. Raises an error if it is refused otherwise.
local function read(...)
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err and not is_wrong_type(reply) then error(reply) end
  return reply
end
