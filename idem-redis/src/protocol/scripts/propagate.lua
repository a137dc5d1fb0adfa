#!lua flags=allow-oom
-- Writes something that replicas must be told and that changes nothing: its expiry as it is, or, where there is no record
-- any more, the token of nobody for a moment. The WAIT behind it waits for all that was written before.
local life = redis.call('PTTL', KEYS[1])
if life >= 0 then
  redis.call('PEXPIRE', KEYS[1], math.max(life, 1))
elseif life == -2 then
  redis.call('SET', KEYS[1], '\1\4' .. string.rep('\0', 86), 'PX', 1)
else
  return redis.error_reply('TRYAGAIN the key holds no record')
end
