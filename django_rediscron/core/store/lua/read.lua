-- Hashes of schedules, as one JSON text, which Python parses much faster than a reply of fields.
-- Writes nothing.
--
-- KEYS: none, because Redis refuses a script that declares a key that its user may not write
-- ARGV[1]: bytes after which a hash is weighed before it is read, then ids
-- Returns a JSON list, for each: the list of fields and values; a text (the error) if the key is
--   not a hash; 2 if it is heavy and does not fit into this call; 1 if there is only a history; 0
--   if there is neither; an object of bytes and short fields if it is larger than allowed.

local limit, total, found = tonumber(ARGV[1]), 0, {}

-- Bytes of the fields that may be long; if HSTRLEN is not permitted, enough to make it wait.
local function weigh(key)
  local bytes = 0
  for _, field in ipairs(LONG_FIELDS) do
    local length = redis.pcall('HSTRLEN', key, field)
    if type(length) == 'table' then return LIGHT_BYTES + 1 end
    bytes = bytes + length
  end
  return bytes
end

local function oversized(key, bytes)
  local fields, values = {}, redis.call('HMGET', key, unpack(SHORT_FIELDS))
  for i, name in ipairs(SHORT_FIELDS) do
    if values[i] and #values[i] < SHORT_BYTES then
      fields[#fields + 1], fields[#fields + 2] = name, values[i]
    end
  end
  return {bytes = bytes, fields = fields}
end

-- Bytes of all values; of what was declared only if it is too much by itself.
local function count(hash)
  local bytes, declared = 0, 0
  for i = 2, #hash, 2 do bytes = bytes + #hash[i] end
  if bytes <= MAX_BYTES then return bytes, bytes end
  for i = 1, #hash, 2 do
    if hash[i] == 'declared' then declared = #hash[i + 1] end
  end
  return math.max(bytes - declared, declared), bytes
end

for i = 2, #ARGV do
  local key = JOB_PREFIX .. ARGV[i]
  local bytes = total >= limit and weigh(key) or 0
  if bytes > 3 * MAX_BYTES then
    found[i - 1] = oversized(key, bytes)
  elseif bytes > LIGHT_BYTES and i > 2 then
    found[i - 1] = 2
  else
    local hash = redis.pcall('HGETALL', key)
    if hash.err then
      found[i - 1] = hash.err
    elseif hash[1] then
      local counted, all = count(hash)
      total = total + all
      found[i - 1] = counted > MAX_BYTES and oversized(key, counted) or hash
    else
      found[i - 1] = redis.call('EXISTS', key .. HISTORY_SUFFIX)
    end
  end
end
return cjson.encode(found)
