-- ARGV: the record as its holder knows it, the completed record, its time to live (ms), the most that may be left of the
-- key's time to live for the fast path (ms), retention (microseconds)
--
-- The fast path, for nearly all calls: the record is as it was locked, so it has no waiter and no checkpoint, and the
-- completed record outlives the lease.
if redis.call('GETRANGE', KEYS[1], '0', '255') == ARGV[1] then
  local life = redis.call('PTTL', KEYS[1])
  if life > 0 and life <= tonumber(ARGV[4]) then
    redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
    return 'applied'
  end
end
local record, life_asked, micros_asked = ARGV[2], ARGV[3], ARGV[5]
local ARGV = { string.sub(record, 7, 30) .. string.sub(record, 55, 86) }
