-- Tells workflows something: the fact, and a look at once.
-- ARGV per item: id, tenant, hash of the idempotency key or '', body hash, event (JSON).
-- Answer per item: {'sent' | 'repeated' (under that key before) | 'ended' (or about to: nothing is written), status} or
--   {'conflict'} (that key came with another body), or false where the tenant has no such workflow.

local answers, wanted = {}, {}
while position < #ARGV do
  local id, tenant, key, body, event = nextArg(), nextArg(), nextArg(), nextArg(), nextArg()
  local index = readIndex(id)
  local earlier, status = unpack(redis.call('HMGET', indexKey(id), 'signal:' .. key, 'status'))
  if index.tenant ~= tenant then
    answers[#answers + 1] = false
  elseif key ~= '' and earlier then
    answers[#answers + 1] = earlier == body and { 'repeated', status } or { 'conflict' }
  elseif closedReason(index) then
    answers[#answers + 1] = { 'ended', status }
  else
    local seq = appendEvents(id, index.tip, { event })
    redis.call('HSET', indexKey(id), 'tip', seq, 'wants', seq)
    if key ~= '' then redis.call('HSET', indexKey(id), 'signal:' .. key, body) end
    if index.token == '' then wanted[#wanted + 1] = id end
    answers[#answers + 1] = { 'sent', status }
  end
end
lowerDues(wanted)
return answers
