-- ARGV: token, life of the token when it is forgotten (ms)
if state == 3 then
  return 'completed'
elseif string.byte(head, 88) == 1 then
  redis.call('SETRANGE', key, 1, string.char(2))
  redis.call('PEXPIRE', key, math.max(retention(), 1))
else
  forget()
end
tell()
return 'applied'
