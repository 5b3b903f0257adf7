-- Takes what is to be exported next of a shard, what has waited longest first, unless another supervisor exports it.
-- ARGV: holder, time until another one may in ms, most workflows, most lines, bytes after which no further workflow is
--   taken.
-- Answer: {how long the first has been waiting in ms, whether there is more now (0 | 1), workflow...}, each
--   {id, tenant, incarnation, lines}.

local holder, holdMs, most, mostLines, mostBytes = nextArg(), nextNumber(), nextNumber(), nextNumber(), nextNumber()
local waiting = redis.call('ZRANGE', EXPORT, 0, most - 1, 'WITHSCORES')
local answer = { waiting[2] and math.max(0, NOW - tonumber(waiting[2])) or 0, #waiting == 2 * most and 1 or 0 }
local other, heldUntil = unpack(redis.call('HMGET', EXPORTER, 'holder', 'until'))
if other and other ~= holder and tonumber(heldUntil) > NOW then return { answer[1], 0 } end
-- Not at every look: each is written to disk.
if other ~= holder or tonumber(heldUntil) < NOW + holdMs / 2 then
  redis.call('HSET', EXPORTER, 'holder', holder, 'until', NOW + holdMs)
  redis.call('PEXPIRE', EXPORTER, 86400000)
end

local lines, bytes = 0, 0
for i = 1, #waiting, 2 do
  local id = waiting[i]
  if lines >= mostLines or bytes >= mostBytes then
    answer[2] = 1
    break
  end
  local tenant, incarnation, exported, shipped =
    unpack(redis.call('HMGET', indexKey(id), 'tenant', 'incarnation', 'exported', 'shipped'))
  local from, to = tonumber(exported or 0) + 1, tonumber(shipped or 0)
  if not tenant or from > to then
    redis.call('ZREM', EXPORT, id)
  else
    local found = redis.call('XRANGE', logKey(id), from .. '-0', to .. '-0', 'COUNT', mostLines - lines)
    for _, line in ipairs(found) do bytes = bytes + #line[2][4] end
    lines = lines + #found
    answer[#answer + 1] = { id, tenant, tonumber(incarnation or 1), found }
  end
end
if lines >= mostLines then answer[2] = 1 end
return answer
