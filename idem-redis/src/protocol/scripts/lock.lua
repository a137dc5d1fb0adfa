-- ARGV: fingerprint, owner, lease (ms), retention (8 bytes), lease and retention (ms), least sequence,
-- the record to store if there is none, whether a replay is to be confirmed ('1')

-- A new token of this owner; nil where its sequence would no longer be exact as a number, centuries from now.
local function next_token()
  local sequence = struct.unpack('>I8', head, 7)
  if sequence < 9007199254740991 then
    return struct.pack('>I8', math.max(sequence + 1, tonumber(ARGV[6]), now())) .. ARGV[2]
  end
end

if state == 0 then
  redis.call('SET', key, ARGV[7], 'PX', ARGV[5])
  return 'fresh'
elseif state == 4 then
  local token = next_token()
  if not token then
    return 'damaged'
  end
  redis.call('SET', key, string.sub(ARGV[7], 1, 6) .. token .. string.sub(ARGV[7], 31), 'PX', ARGV[5])
  return { 'acquired', tonumber(ARGV[3]), redis.call('GET', key) }
elseif string.sub(head, 55, 86) ~= ARGV[1] then
  return 'mismatch'
elseif state == 3 then
  if ARGV[8] == '1' then
    touch()
  end
  return { 'completed', redis.call('GET', key) }
end

local mine = state == 1 and string.sub(head, 15, 30) == ARGV[2]
if state == 1 and left() > 0 then
  if not mine then
    return { 'held', left() }
  end
  touch()
  return { 'acquired', left(), redis.call('GET', key) }
end

local attempt_and_token = string.sub(head, 3, 30)
if not mine then
  local token = next_token()
  if not token then
    return 'damaged'
  end
  local attempt = math.min(struct.unpack('>I4', head, 3) + 1, 4294967295)
  attempt_and_token = struct.pack('>I4', attempt) .. token
end
redis.call('SETRANGE', key, 1, string.char(1 + waited) .. attempt_and_token .. string.rep('\0', 8) .. ARGV[4])
redis.call('PEXPIRE', key, ARGV[5])
return { 'acquired', tonumber(ARGV[3]), redis.call('GET', key) }
