-- Notes a message that an intake refuses; KEYS[1] is `{intake}`. Beyond the most, the oldest are dropped.
-- ARGV: most that are kept, name of the message, letter (JSON).
-- Answer: 1 if it is new, else 0.

local DEAD, LETTERS = SHARD .. ':dead', SHARD .. ':letters'
local most, name, letter = nextNumber(), nextArg(), nextArg()
if redis.call('HSETNX', LETTERS, name, letter) == 0 then return 0 end
redis.call('ZADD', DEAD, NOW, name)
for _, old in ipairs(redis.call('ZRANGE', DEAD, 0, -most - 1)) do
  redis.call('ZREM', DEAD, old)
  redis.call('HDEL', LETTERS, old)
end
return 1
