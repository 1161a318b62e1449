-- Count a change of a stored schedule; returns the new number.
local function raise_revision(key)
  local revision = redis.pcall('HINCRBY', key, 'revision', 1)
  if type(revision) == 'number' then return revision end
  redis.call('HSET', key, 'revision', 1)
  return 1
end
