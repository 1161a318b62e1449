-- The due members of the index. Writes nothing.
--
-- KEYS[1]: the index
-- ARGV[1]: lowest score, ARGV[2]: highest score, ARGV[3]: maximum number of members
-- Returns a JSON list of members and scores alternately, lowest scores first.

local limit = {'LIMIT', 0, ARGV[3]}
local due = redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[1], ARGV[2], 'WITHSCORES', unpack(limit))
if not due[1] then return '[]' end
return cjson.encode(due)
