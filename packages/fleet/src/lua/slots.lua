-- Reads the slots that have come; KEYS[1] is `{fleet}`.
-- ARGV: most slots.
-- Answer: {now, entry...}; an entry is {id of the schedule, slot, record (JSON)}.

local answer = { NOW }
local due = redis.call('ZRANGEBYSCORE', SLOTS, '-inf', NOW, 'WITHSCORES', 'LIMIT', 0, nextNumber())
for i = 1, #due, 2 do
  local record = redis.call('HGET', SCHEDULES, due[i])
  if record then answer[#answer + 1] = { due[i], due[i + 1], record } else redis.call('ZREM', SLOTS, due[i]) end
end
return answer
