-- Reads the agent types; KEYS[1] is `{fleet}`. No ARGV.
-- Answer, for one type after the other: type, descriptor, live workers, workers that registered and have not said that
-- they go, since when it is paused in ms (0 for not at all).

local answer = {}
local agents = redis.call('HGETALL', SHARD .. ':agents')
for i = 1, #agents, 2 do
  local workers = SHARD .. ':workers:' .. agents[i]
  answer[#answer + 1] = agents[i]
  answer[#answer + 1] = agents[i + 1]
  answer[#answer + 1] = redis.call('ZCOUNT', workers, '(' .. NOW, '+inf')
  answer[#answer + 1] = redis.call('ZCARD', workers)
  answer[#answer + 1] = pausedSince(agents[i])
end
return answer
