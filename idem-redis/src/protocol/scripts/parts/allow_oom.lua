#!lua flags=allow-oom
-- A lease that was granted can be ended, whatever memory there is: else its work would run again.
