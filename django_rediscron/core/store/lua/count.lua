-- Add to what is counted in sum. If Redis refuses that, it is not counted.
--
-- KEYS: none, because Redis refuses a script that declares a key that its user may not use
-- ARGV: fields, each with the number to add
-- Returns nothing.

for i = 1, #ARGV, 2 do redis.pcall('HINCRBY', COUNTS, ARGV[i], ARGV[i + 1]) end
