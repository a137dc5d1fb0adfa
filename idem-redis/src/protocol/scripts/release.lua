-- ARGV: token and fingerprint, how long the token of a forgotten record is kept (ms)
if state == 3 then
  return 'completed'
elseif string.byte(head, 88) == 1 then
  redis.call('SETRANGE', key, 1, string.char(2))
  redis.call('PEXPIRE', key, math.max(retention(), 1))
else
  forget()
end
notify()
return 'applied'
