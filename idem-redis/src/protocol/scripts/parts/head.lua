-- Begins every script about a record: reads what is on record for its one key. Layout: idem-core/src/backend/codec.rs.
-- Rules: idem-core/src/backend/decide.rs, which the tests hold these scripts to.
local key = KEYS[1]
local head = redis.call('GETRANGE', key, '0', '87')
-- 0 nothing on record, 1 locked, 2 released with a checkpoint, 3 completed, 4 released or removed a moment ago
local state, waited, life = 0, 0, 0
if head ~= '' or redis.call('EXISTS', key) == 1 then
  life = redis.call('PTTL', key)
  local version, code = string.byte(head, 1, 2)
  state = code or 0
  -- The highest bit of a locked record's state: a waiter wants to be notified when the lease ends.
  if state >= 128 then
    waited = 128
    state = state - 128
  end
  if version ~= 1 or #head < 88 or state < 1 or state > 4 or life < 0 then
    return 'damaged'
  end
end
