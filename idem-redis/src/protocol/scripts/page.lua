-- Lists some keys, from a cursor on. A cursor of SCAN means something only to the server process that gave it: where another
-- process answers, it begins anew.
-- ARGV: cursor, id of its process, pattern, about how many
local process = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local cursor = ARGV[1]
if ARGV[2] ~= process then
  cursor = '0'
end
local found = redis.call('SCAN', cursor, 'MATCH', ARGV[3], 'COUNT', ARGV[4])
return { process, found[1], found[2] }
