-- Replaces the record by what is left of it, its token, which is kept for ARGV[2] milliseconds: the next lock of the key
-- gets a higher sequence. That is longer than the clients' estimates of the server's time can differ, namely by the delay
-- of an answer to TIME.
local function forget()
  redis.call('SET', key, string.sub(head, 1, 1) .. string.char(4) .. string.sub(head, 3), 'PX', ARGV[2])
end
