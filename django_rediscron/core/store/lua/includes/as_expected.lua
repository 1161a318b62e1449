-- include: changes

local any_deleted = redis.call('EXISTS', DELETED) == 1

-- Whether a schedule is what a merge read: `expected` has its kind ('hash', 'none' or 'other'), the
-- fields (true: any text) and the tombstone. Each field is compared, for programs that raise no
-- revision change schedules too.
local function as_expected(key, id, kind, expected)
  if kind ~= 'hash' and kind ~= 'none' then kind = 'other' end
  if kind ~= expected.kind then return false end
  local deleted = any_deleted and redis.call('HGET', DELETED, id) or ''
  if deleted ~= expected.deleted then return false end
  if kind ~= 'hash' then return true end
  local values = redis.call('HMGET', key, unpack(GUARDED_FIELDS))
  for i, name in ipairs(GUARDED_FIELDS) do
    local wanted = expected.fields[name]
    if wanted ~= true and (values[i] or '') ~= (wanted or '') then return false end
  end
  return true
end
