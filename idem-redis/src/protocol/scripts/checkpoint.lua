-- ARGV: token and fingerprint, lease (ms), the record with this checkpoint, from its step on
if state == 3 then
  return 'completed'
end
local has_checkpoint = string.byte(head, 88) == 1
if has_checkpoint then
  -- Compared in halves: a number is exact only up to 2^53, and strings compare by the server's locale.
  local high, low = struct.unpack('>I4I4', head, 47)
  local new_high, new_low = struct.unpack('>I4I4', ARGV[3])
  if new_high < high or (new_high == high and new_low <= low) then
    touch()
    return 'kept'
  end
end
local life = math.max(life, ARGV[2] + retention())
redis.call('SET', key, string.sub(head, 1, 46) .. ARGV[3], 'PX', life)
return 'applied'
