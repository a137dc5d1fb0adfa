local function tell()
  if waited > 0 then
    -- A user who may not publish still completes; those who wait look again by themselves.
    redis.pcall('SPUBLISH', key, '')
  end
end
