-- Asks the calls of the holder to send a notification when the lease ends.
if state ~= 1 or left() <= 0 then
  return 'free'
end
if waited == 0 then
  redis.call('SETRANGE', key, 1, string.char(129))
end
return { 'held', left() }
