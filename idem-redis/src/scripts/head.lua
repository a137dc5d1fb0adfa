-- Every script begins with this: what is on record for the one key. Layout: idem-core/src/codec.rs.
-- Rules: idem-core/src/decide.rs, which the tests hold these scripts to.
local key = KEYS[1]
local head = redis.call('GETRANGE', key, 0, 87)
-- 0 nothing on record, 1 locked, 2 released with a checkpoint, 3 completed
local state, waited, life = 0, 0, 0
if head ~= '' or redis.call('EXISTS', key) == 1 then
  life = redis.call('PTTL', key)
  state = string.byte(head, 2) or 0
  -- The highest bit of a lock: somebody waits for its end, and wants to be told.
  if state >= 128 then
    waited = 128
    state = state - 128
  end
  if string.byte(head, 1) ~= 1 or #head < 88 or state < 1 or state > 3 or life < 0 then
    return { 'damaged' }
  end
end

-- Milliseconds by which a locked record outlasts its lease.
local function retention()
  return math.ceil(struct.unpack('>I8', head, 39) / 1000)
end

-- What is left of the lease, in milliseconds: the key's own expiry is the lease's deadline plus the retention.
local function left()
  return life - retention()
end

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

-- Writes the record's expiry again, so that the WAIT that follows means something.
local function touch()
  redis.call('PEXPIRE', key, math.max(life, 1))
end

local function tell()
  if waited > 0 then
    -- A user who may not publish still completes; those who wait look again by themselves.
    redis.pcall('SPUBLISH', key, '')
  end
end
