-- Since when a schedule is disabled, by whom, why and until when: fields of its hash. The leader
-- looks at DISABLED_UNTIL for the end.

-- include: epoch

-- `off`: at, by, reason and until; the latter two are nil or '' for none.
local function note_off(id, key, off)
  local reason, ends = off.reason or '', epoch(off['until'])
  redis.call('HSET', key, 'disabled_at', off.at, 'disabled_by', off.by)
  if reason ~= '' then
    redis.call('HSET', key, 'disabled_reason', reason)
  else
    redis.call('HDEL', key, 'disabled_reason')
  end
  if ends then
    redis.call('HSET', key, 'disabled_until', off['until'])
    redis.call('ZADD', DISABLED_UNTIL, string.format('%.6f', ends), id)
  else
    redis.call('HDEL', key, 'disabled_until')
    redis.call('ZREM', DISABLED_UNTIL, id)
  end
end
