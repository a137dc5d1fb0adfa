-- Forgets the record but for its token, for ten seconds: whoever locks the key next gets a higher sequence. What callers
-- know of the servers' time differs by less, by an answer to TIME that was late (response_timeout).
local function forget()
  redis.call('SET', key, string.sub(head, 1, 1) .. string.char(4) .. string.sub(head, 3), 'PX', 10000)
end
