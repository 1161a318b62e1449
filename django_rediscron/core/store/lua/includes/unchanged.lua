-- Whether a schedule is what it was when it was read: the other side of `Fingerprint` in Python.

-- include: refusals

-- Ids of which an occurrence was written in this call.
local moved = {}

-- By its next time and the fields that an edit changes.
local function has_same_edit_fields(key, revision, changed_at, following)
  local stored = redis.pcall('HMGET', key, 'next_enqueue_time', 'revision', 'updated_at',
                             'created_at')
  if stored.err and not is_wrong_type(stored) then error(stored) end
  if stored.err or (stored[1] or '') ~= following or (stored[2] or '') ~= revision then
    return false
  end
  local found = stored[3]
  if not found or found == '' then found = stored[4] or '' end
  if found ~= changed_at then return false end
  -- A hash that was deleted meanwhile has none of these fields either.
  return following ~= '' or changed_at ~= '' or revision ~= ''
         or redis.call('EXISTS', key) == 1
end

-- By the whole hash: the next time at one position, any latest one at another (0: it has none),
-- how many names and values there are, or a list of that and of a separator that none of them
-- contains, and the text of all others, or its SHA-1. Or, with 0 for the text, by revision and
-- time of the last change instead of the positions; or, with '' for it, by the next time alone,
-- which another occurrence wrote.
local function unchanged(key, id, next_at, latest_at, length, text, following)
  if text == '' then
    return moved[id] and redis.call('HGET', key, 'next_enqueue_time') == following
  end
  if text == 0 then return has_same_edit_fields(key, next_at, latest_at, following) end
  local stored, separator = redis.pcall('HGETALL', key), SEPARATOR
  if stored.err and not is_wrong_type(stored) then error(stored) end
  if #stored ~= length then
    if type(length) ~= 'table' or #stored ~= length[1] then return false end
    separator = length[2]
  end
  if (stored[next_at] or '') ~= following then return false end
  stored[next_at], stored[latest_at] = '', ''
  local found = table.concat(stored, separator)
  return (#found > LONGEST and redis.sha1hex(found) or found) == text
end
