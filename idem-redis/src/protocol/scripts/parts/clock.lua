-- The server's time in microseconds since 1970. Asked for once, since time stands still while a script runs.
local moment
local function now()
  if not moment then
    local time = redis.call('TIME')
    moment = time[1] * 1000000 + time[2]
  end
  return moment
end
