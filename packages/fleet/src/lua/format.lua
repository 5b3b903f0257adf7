-- Says in which form a release writes; KEYS[1] is `{fleet}`. ARGV: the number of that form.
-- Answer: the highest that any release has ever said, this one included.

local highest = math.max(nextNumber(), tonumber(redis.call('GET', SHARD .. ':format') or 0))
redis.call('SET', SHARD .. ':format', highest)
return highest
