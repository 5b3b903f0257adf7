-- Counts what a process has counted since it last said so into the minute of now; KEYS[1] is `{fleet}`.
-- ARGV: lifetime of a minute in ms; then by turns: series, increase.
-- Answer: the minute.

local lifetime = nextNumber()
local minute = math.floor(NOW / 60000)
local key = tallyKey(minute)
while position < #ARGV do redis.call('HINCRBYFLOAT', key, nextArg(), nextArg()) end
redis.call('PEXPIRE', key, lifetime)
return minute
