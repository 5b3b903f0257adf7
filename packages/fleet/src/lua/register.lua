-- Keeps what the fleet knows of agent types and their workers; KEYS[1] is `{fleet}`.
-- ARGV per item: agent type, descriptor (JSON), worker, time for which the worker counts as live in ms (0: it has gone).
-- Answer per item: 1.

local answers = {}
while position < #ARGV do
  local agent, descriptor, worker, liveMs = nextArg(), nextArg(), nextArg(), nextNumber()
  local workers = SHARD .. ':workers:' .. agent
  redis.call('HSET', SHARD .. ':agents', agent, descriptor)
  redis.call('ZREMRANGEBYSCORE', workers, '-inf', NOW)
  if liveMs > 0 then redis.call('ZADD', workers, NOW + liveMs, worker) else redis.call('ZREM', workers, worker) end
  answers[#answers + 1] = 1
end
return answers
