-- Reads what intakes have refused, the newest first; KEYS[1] is `{intake}`. ARGV: how many at most.
-- Answer: letter (JSON)...

local names = redis.call('ZREVRANGE', SHARD .. ':dead', 0, nextNumber() - 1)
if #names == 0 then return {} end
return redis.call('HMGET', SHARD .. ':letters', unpack(names))
