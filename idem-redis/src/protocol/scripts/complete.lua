if state == 3 then
  touch()
  return 'applied'
end
local life, micros = life_asked, micros_asked
if left() > tonumber(life) then
  life, micros = left(), left() * 1000
end
local at = now()
redis.call('SET', key, string.sub(record, 1, 30) .. struct.pack('>I8I8', at, at + micros) .. string.sub(record, 47), 'PX', life)
notify()
return 'applied'
