-- Says of a marker that replicas have it. Only where it is still there: it may have been lost since it was looked at.
-- ARGV: how many bytes tell it from others, what stands behind them
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('SETRANGE', KEYS[1], ARGV[1], ARGV[2])
end
