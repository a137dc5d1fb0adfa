-- Calls every command of the scripts. Changes nothing, since the key does not exist.
for _, command in ipairs({
  {'EXISTS'}, {'PTTL'}, {'GET'}, {'GETRANGE', 0, 1}, {'PEXPIRE', 1}, {'SETRANGE', 0, ''}, {'SET', '', 'XX', 'PX', 1}
}) do
  redis.call(command[1], KEYS[1], unpack(command, 2))
end
return redis.call('TIME')
