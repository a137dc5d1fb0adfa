#!lua flags=allow-oom
-- Makes a write that is replicated and changes nothing, so that the WAIT that follows covers every write before it: it sets
-- the key's expiry to what it is, or, where the record is gone, stores a forgotten token of nobody for a millisecond.
local life = redis.call('PTTL', KEYS[1])
if life >= 0 then
  redis.call('PEXPIRE', KEYS[1], math.max(life, 1))
elseif life == -2 then
  redis.call('SET', KEYS[1], '\1\4' .. string.rep('\0', 86), 'PX', 1)
else
  return redis.error_reply('TRYAGAIN the key holds no record')
end
