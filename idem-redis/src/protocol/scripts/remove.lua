-- ARGV: whether by force ('1'), how long the token of a forgotten record is kept (ms)
if state == 0 or state == 4 then
  return 'gone'
elseif ARGV[1] ~= '1' and state == 1 and left() > 0 then
  return { 'held', left() }
end
forget()
notify()
return 'applied'
