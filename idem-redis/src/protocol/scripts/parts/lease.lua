-- How long a locked record outlasts its lease, in milliseconds.
local function retention()
  return math.ceil(struct.unpack('>I8', head, 39) / 1000)
end

-- What is left of the lease, in milliseconds. The key expires at the lease's deadline plus the retention.
local function left()
  return life - retention()
end
