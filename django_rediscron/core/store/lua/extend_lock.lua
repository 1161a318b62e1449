-- Give the lock its whole TTL again, and note that its holder is alive.
--
-- KEYS[1]: the lock
-- ARGV[1]: our token, ARGV[2]: TTL in ms, ARGV[3]: the time, ARGV[4]: since when we lead, both as
-- UTC text, ARGV[5]: our host, ARGV[6]: our process id
-- Returns 1, or 0 if the lock is not ours.

-- include: reigns

-- Whoever led before us without an end has died.
local function note_life(token, moment, since, host, pid)
  local known = redis.pcall('HGET', REIGN, 'token')
  if type(known) == 'table' then return end -- an error
  if known ~= token then
    if known then close_reign(known, 'died') end
    redis.pcall('HSET', REIGN, 'token', token, 'since', since, 'host', host, 'pid', pid)
  end
  redis.pcall('HSET', REIGN, 'alive', moment)
end

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local extended = redis.call('PEXPIRE', KEYS[1], ARGV[2])
note_life(ARGV[1], ARGV[3], ARGV[4], ARGV[5], ARGV[6])
return extended
