-- Whether a run of a schedule has not ended, as far as `dispatch` would see that.
--
-- KEYS[1]: the history of the schedule
-- ARGV[1]: the beginning of the keys of its jobs, ARGV[2]: the key of its queue ('' if its jobs run
--   in the enqueueing process), ARGV[3]: epoch seconds
-- Returns 1 or 0.

-- include: overlap

local prefix, queue, now = unpack(ARGV)
return overlaps(KEYS[1], prefix, queue, false, tonumber(now)) and 1 or 0
