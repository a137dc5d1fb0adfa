-- Notifies those who wait for the key.
local function notify()
  if waited > 0 then
    -- `pcall`, so that the call succeeds although the user may not publish; waiters poll as well.
    redis.pcall('SPUBLISH', key, '')
  end
end
