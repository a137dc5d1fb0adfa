-- ARGV: token, retention (ms), retention (microseconds), the record up to its times, and what follows them
if state == 3 then
  touch()
  return 'applied'
end
local life, micros = ARGV[2], ARGV[3]
if left() > tonumber(life) then
  life, micros = left(), left() * 1000
end
local at = now()
redis.call('SET', key, ARGV[4] .. struct.pack('>I8I8', at, at + micros) .. ARGV[5], 'PX', life)
tell()
return 'applied'
