-- Whether RQ's heartbeat for an execution of the job has not run out. `ask` is called as
-- `redis.call` is.
local function is_alive(job_id, ask)
  local executions = ask('ZRANGE', EXECUTIONS_PREFIX .. job_id, 0, -1)
  for _, execution in ipairs(executions) do
    local key = EXECUTION_PREFIX .. job_id .. ':' .. execution
    if redis.call('EXISTS', key) == 1 then return true end
  end
  return false
end
