-- Forget why and until when a schedule was disabled, as it no longer is.
local function forget_off(id, key)
  redis.call('HDEL', key, unpack(OFF_FIELDS))
  redis.call('ZREM', DISABLED_UNTIL, id)
end
