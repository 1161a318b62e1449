"""Declared schedules: what nobody but the code may change, and what people deleted."""

from __future__ import annotations

from ...schedule.codec import EDITABLE_FIELDS
from ..keys import DELETED, JOB_PREFIX, ORIGIN_FIELDS

VERSION_FIELDS = ("revision", "updated_at", "created_at")

GUARDED_FIELDS = (*EDITABLE_FIELDS, *ORIGIN_FIELDS, *VERSION_FIELDS)
"""All that a merge with the code depends on."""

_GUARDED = ", ".join(map(repr, GUARDED_FIELDS))

GUARD = f"""
-- Whether a schedule is what a merge read: `expected` has its kind ('hash', 'none' or 'other'), the
-- fields (true: any text) and the tombstone. Each field is compared, for programs that raise no
-- revision change schedules too.
local guarded = {{{_GUARDED}}}
local any_deleted = redis.call('EXISTS', '{DELETED}') == 1
local function as_expected(key, id, kind, expected)
  if kind ~= 'hash' and kind ~= 'none' then kind = 'other' end
  if kind ~= expected.kind then return false end
  local deleted = any_deleted and redis.call('HGET', '{DELETED}', id) or ''
  if deleted ~= expected.deleted then return false end
  if kind ~= 'hash' then return true end
  local values = redis.call('HMGET', key, unpack(guarded))
  for i, name in ipairs(guarded) do
    local wanted = expected.fields[name]
    if wanted ~= true and (values[i] or '') ~= (wanted or '') then return false end
  end
  return true
end

-- Whether a change of a stored schedule changes its definition at all.
local function overrides(key, change)
  local left_out = {{}}
  for _, name in ipairs(change.unset) do
    left_out[name] = true
    local stands = redis.call('HGET', key, name)
    if stands and stands ~= '' and stands ~= change.fields[name] then return true end
  end
  for name, value in pairs(change.fields) do
    if not left_out[name] and name ~= 'created_at' then
      local stands = redis.call('HGET', key, name) or (name == 'enabled' and '1')
      if stands ~= value then return true end
    end
  end
  return false
end

-- What a hash says of the code that declares the schedule; nil where none does (any more).
local function declaration(key)
  local names = {{'source', 'application', 'place', 'declared', 'locked', 'orphaned_at'}}
  local values = redis.pcall('HMGET', key, unpack(names))
  if values.err or values[1] ~= 'code' or values[6] then return nil end
  local told = {{}}
  for i, name in ipairs(names) do told[name] = values[i] or '' end
  return told
end

-- A schedule that is deleted while it is declared stays deleted.
local function leave_tombstone(id, told)
  told.locked, told.orphaned_at = nil, nil
  redis.call('HSET', '{DELETED}', id, cjson.encode(told))
end

local function forget_deletion(id)
  if any_deleted then redis.call('HDEL', '{DELETED}', id) end
end

-- What is known of the code, for a schedule that is created where one was deleted.
local function tombstone_marks(id)
  local text = any_deleted and redis.call('HGET', '{DELETED}', id)
  local read, told = pcall(cjson.decode, text or '')
  local marks = {{}}
  for _, name in ipairs({{'source', 'application', 'place', 'declared'}}) do
    if read and type(told) == 'table' and type(told[name]) == 'string' then
      marks[name] = told[name]
    end
  end
  return marks
end
"""

TOMBSTONES = f"""
-- Replace tombstones that are what they were.
-- ARGV: id, text that stands there, text to put there ('' to drop it), and so on
for i = 1, #ARGV, 3 do
  if redis.call('HGET', '{DELETED}', ARGV[i]) == ARGV[i + 1] then
    if ARGV[i + 2] == '' then
      redis.call('HDEL', '{DELETED}', ARGV[i])
    else
      redis.call('HSET', '{DELETED}', ARGV[i], ARGV[i + 2])
    end
  end
end
"""

DECLARED = f"""
-- Ids of the schedules that an application declared.
-- KEYS[1]: an index. ARGV: first and last rank in it, the application
local found = {{}}
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], ARGV[1], ARGV[2])) do
  local values = redis.pcall('HMGET', '{JOB_PREFIX}' .. id, 'source', 'application')
  if not values.err and values[1] == 'code' and values[2] == ARGV[3] then
    found[#found + 1] = id
  end
end
return found
"""
