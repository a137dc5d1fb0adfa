-- ARGV: token, retention (ms), retention (microseconds), the record but for its times
if state == 3 then
  touch()
  return { 'applied' }
end
local life, micros = tonumber(ARGV[2]), tonumber(ARGV[3])
if left() > life then
  life, micros = left(), left() * 1000
end
local at = now()
local times = struct.pack('>I8', at) .. struct.pack('>I8', at + micros)
redis.call('SET', key, string.sub(ARGV[4], 1, 30) .. times .. string.sub(ARGV[4], 47), 'PX', life)
tell()
return { 'applied' }
