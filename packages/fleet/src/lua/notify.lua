-- Takes the workflows of which something is to be told, and holds them.
-- ARGV: most workflows, time until somebody else may take them in ms.
-- Answer: {now, entry...}; an entry is {id, tenant, address, place of the last line that was told of,
--   place, tries and time of the first try of the line that is being told, blank separated, or ''}.

local most, holdMs = nextNumber(), nextNumber()
local answer, turns = { NOW }, {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', NOTIFY, '-inf', NOW, 'LIMIT', 0, most)) do
  local tenant, callback, told, telling = unpack(redis.call('HMGET', indexKey(id), 'tenant', 'callback', 'told', 'telling'))
  if callback then
    answer[#answer + 1] = { id, tenant, callback, tonumber(told or 0), telling or '' }
    turns[#turns + 1] = NOW + holdMs
    turns[#turns + 1] = id
  else
    redis.call('ZREM', NOTIFY, id)
  end
end
if #turns > 0 then redis.call('ZADD', NOTIFY, unpack(turns)) end
return answer
