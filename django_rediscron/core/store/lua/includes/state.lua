-- Whether a schedule waits for its next time, and if not, why. `enabled`, `finished_at` and
-- `last_error` are fields of its hash, nil or false if missing; `is_hash`: whether it is one.
local function state_from(enabled, finished_at, last_error, is_hash)
  if enabled == '0' then return 'disabled' end
  if (finished_at or '') ~= '' then return 'finished' end
  if not is_hash or (last_error or '') ~= '' then return 'error' end
  return 'enabled'
end
