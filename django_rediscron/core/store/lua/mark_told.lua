-- Note of jobs in flight that it was told that they take too long.
--
-- KEYS[1]: the lock, KEYS[2]: the hash of the jobs in flight
-- ARGV[1]: the token that must hold the lock, ARGV[2], ...: ids of the jobs
-- Returns false if the token does not hold the lock and nothing was done; otherwise those of the
--   ids that are still in flight and have a limit. If it was noted before, this is the same call
--   again, whose reply was lost: the holder of the lock asks for those that it has not told.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return false end

local told = {}
for i = 2, #ARGV do
  local entry = redis.call('HGET', KEYS[2], ARGV[i]) or ''
  local begin, limit, mark, rest = string.match(entry, '^(%S+ %S+ %S+ )([^%s!]+)(!?)( .*)')
  if limit and tonumber(limit) then
    if mark == '' then redis.call('HSET', KEYS[2], ARGV[i], begin .. limit .. '!' .. rest) end
    told[#told + 1] = ARGV[i]
  end
end
return told
