-- Forgets the record but for its token, for so many milliseconds: whoever locks the key next gets a higher sequence. What
-- callers know of the servers' time differs by less, by an answer to TIME that was late.
local function forget()
  redis.call('SET', key, string.sub(head, 1, 1) .. string.char(4) .. string.sub(head, 3), 'PX', ARGV[2])
end
