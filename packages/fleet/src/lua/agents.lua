-- Reads the agent types; KEYS[1] is `{fleet}`. No ARGV. Answer: type, descriptor, live workers, type, descriptor...

local answer = {}
local agents = redis.call('HGETALL', SHARD .. ':agents')
for i = 1, #agents, 2 do
  answer[#answer + 1] = agents[i]
  answer[#answer + 1] = agents[i + 1]
  answer[#answer + 1] = redis.call('ZCOUNT', SHARD .. ':workers:' .. agents[i], '(' .. NOW, '+inf')
end
return answer
