-- ARGV: token and fingerprint, lease (ms)
if state == 3 then
  return 'completed'
end
redis.call('PEXPIRE', key, math.max(life, ARGV[2] + retention()))
return 'applied'
