-- What can be told of a record without its outcome or checkpoint.
local key = KEYS[1]
return {
  redis.call('GETRANGE', key, '0', '87'), redis.call('STRLEN', key), redis.call('PTTL', key), redis.call('TIME'),
}
