-- Takes the workflows whose turn before the archive has come and of which it lacks something.
-- ARGV: most workflows, time until somebody else may take them in ms, time until a workflow that is archived as it is
--   has its next turn in ms.
-- Answer: {number of turns that had come, how late the first of them was in ms, id...}

local most, holdMs, againMs = nextNumber(), nextNumber(), nextNumber()
local first = redis.call('ZRANGE', RELAY, 0, 0, 'WITHSCORES')[2]
local ids = redis.call('ZRANGEBYSCORE', RELAY, '-inf', NOW, 'LIMIT', 0, most)
local answer, turns = { #ids, first and math.max(0, NOW - tonumber(first)) or 0 }, {}
for _, id in ipairs(ids) do
  local tip, shipped, changes, shippedChanges, endedAt, archived =
    unpack(redis.call('HMGET', indexKey(id), 'tip', 'shipped', 'changes', 'shippedChanges', 'endedAt', 'archived'))
  if not tip or (endedAt and archived == '1') then
    redis.call('ZREM', RELAY, id)
  else
    local isArchived = not endedAt and tip == shipped and (changes or '0') == (shippedChanges or '0')
    if not isArchived then answer[#answer + 1] = id end
    turns[#turns + 1] = NOW + (isArchived and againMs or holdMs)
    turns[#turns + 1] = id
  end
end
if #turns > 0 then redis.call('ZADD', RELAY, unpack(turns)) end
return answer
