-- Whether a writer computes times in a zone as the leader does. `rules`: fields and values
-- alternately, the first of them identifies the rules. If none are stored for the zone, these are
-- stored. If the rules differ, the next time is left out and the leader computes it.
local function as_leader(rules)
  local known = redis.pcall('HGET', RULES, rules[1])
  if type(known) == 'table' then return true end -- a key of another type, which the leader replaces
  if not known then redis.call('HSET', RULES, unpack(rules)) end
  return not known or known == rules[2]
end
