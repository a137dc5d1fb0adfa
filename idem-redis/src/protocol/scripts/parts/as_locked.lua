-- ARGV: the record as its holder knows it, the record to be, its life (ms), the most that may be left of
-- the key's life by then (ms), retention (microseconds)
-- The shortest way, for nearly all: the record is as it was locked, nobody waits for it, and the new one outlives its lease.
-- One with a checkpoint is longer.
if redis.call('GETRANGE', KEYS[1], '0', '255') == ARGV[1] then
  local life = redis.call('PTTL', KEYS[1])
  if life > 0 and life <= tonumber(ARGV[4]) then
    redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
    return 'applied'
  end
end
local record, life_asked, micros_asked = ARGV[2], ARGV[3], ARGV[5]
local ARGV = { string.sub(record, 7, 30) .. string.sub(record, 55, 86) }
