-- Writes the record's expiry again, so that the WAIT that follows covers the record.
local function touch()
  redis.call('PEXPIRE', key, math.max(life, 1))
end
