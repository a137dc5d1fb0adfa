-- ARGV: whether by force ('1')
if state == 0 then
  return 'gone'
elseif ARGV[1] ~= '1' and state == 1 and left() > 0 then
  return { 'held', left() }
end
redis.call('DEL', key)
tell()
return 'applied'
