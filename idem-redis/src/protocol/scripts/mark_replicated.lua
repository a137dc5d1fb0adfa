-- Notes in a marker that replicas have it, unless the marker has been lost since it was last seen.
-- ARGV: how many bytes identify the marker, the note that follows them
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('SETRANGE', KEYS[1], ARGV[1], ARGV[2])
end
