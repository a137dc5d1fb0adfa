#!lua flags=allow-oom
-- A granted lease can be ended even when memory is full: otherwise its work would run again.
