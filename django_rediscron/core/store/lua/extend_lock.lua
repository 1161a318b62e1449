-- Give the lock its whole TTL again, and note that its holder is alive.
--
-- KEYS[1]: the lock
-- ARGV[1]: our token, ARGV[2]: TTL in ms, ARGV[3]: the time, ARGV[4]: since when we lead, both as
-- UTC text, ARGV[5]: our host, ARGV[6]: our process id, ARGV[7]: 1 if it is to be told that we lead
-- Returns 1, or 0 if the lock is not ours.

-- include: reigns
-- include: notify

local function name_in(token)
  return type(token) == 'string' and string.match(token, '^(.*):') or token
end

-- Tell that another scheduler leads now than before.
local function tell_change(token)
  local readable, last = pcall(cjson.decode, redis.pcall('LINDEX', REIGNS, 0))
  if not readable or type(last) ~= 'table' then return end -- nobody has led before
  local leader, previous = name_in(token), name_in(last.token)
  if leader == previous then return end
  notify(ALARMS, 'leader_changed', '', 'leader', cjson.encode(leader),
         'previous', cjson.encode(previous), 'end', cjson.encode(last['end']),
         'until', cjson.encode(last['until']))
end

-- Whoever led before us without an end has died.
local function note_life(token, moment, since, host, pid)
  local known = redis.pcall('HGET', REIGN, 'token')
  if type(known) == 'table' then return end -- an error
  if known ~= token then
    if known then close_reign(known, 'died') end
    redis.pcall('HSET', REIGN, 'token', token, 'since', since, 'host', host, 'pid', pid)
    if ARGV[7] == '1' then tell_change(token) end
  end
  redis.pcall('HSET', REIGN, 'alive', moment)
end

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local extended = redis.call('PEXPIRE', KEYS[1], ARGV[2])
note_life(ARGV[1], ARGV[3], ARGV[4], ARGV[5], ARGV[6])
return extended
