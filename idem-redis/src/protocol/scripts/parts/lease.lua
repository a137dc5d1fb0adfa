-- Milliseconds by which a locked record outlasts its lease.
local function retention()
  return math.ceil(struct.unpack('>I8', head, 39) / 1000)
end

-- What is left of the lease, in milliseconds: the key's own expiry is the lease's deadline plus the retention.
local function left()
  return life - retention()
end
