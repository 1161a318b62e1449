-- Whether times that a writer computed in a zone are those that the leader would compute. `rules`:
-- fields and values in turn, the first one tells them from others. Where nothing is known of the
-- zone they are what counts from now on. If not, the leader computes the time: there is none.
local function as_leader(rules)
  local known = redis.pcall('HGET', RULES, rules[1])
  if type(known) == 'table' then return true end -- somebody's key, which the leader replaces
  if not known then redis.call('HSET', RULES, unpack(rules)) end
  return not known or known == rules[2]
end
