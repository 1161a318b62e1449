-- Replace tombstones that did not change meanwhile.
--
-- KEYS[1]: the tombstones
-- ARGV: id, its current text, its new text ('' to drop it), and so on
-- Returns nothing.

for i = 1, #ARGV, 3 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then
    if ARGV[i + 2] == '' then
      redis.call('HDEL', KEYS[1], ARGV[i])
    else
      redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2])
    end
  end
end
