-- Whether this server can run our scripts. Writes nothing.
--
-- KEYS: two of our keys, which a cluster must have in one slot
-- ARGV[1]: a key that is not declared
-- Returns 1, or a list of what does not work and the error.

local works, reason = pcall(function() return cmsgpack.unpack(cmsgpack.pack(KEYS)) end)
if not works then return {'cmsgpack', tostring(reason)} end
works, reason = pcall(function() return cjson.decode(cjson.encode(KEYS)) end)
if not works then return {'cjson', tostring(reason)} end
local reply = redis.pcall('EXISTS', ARGV[1])
if type(reply) == 'table' and reply.err and not string.find(reply.err, 'NOPERM') then
  return {'keys that are not declared', reply.err}
end
return 1
