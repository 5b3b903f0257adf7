-- Appends what clients ask for. A cancel sets its flag in the same step: from then on claim, step and record refuse.
-- ARGV per item: id, tenant, kind ('cancel'), event (JSON).
-- Answer per item: the status of the workflow, or false where the tenant has no such workflow. A second cancel, and one
--   after the end, writes nothing.

local answers, wanted = {}, {}
while position < #ARGV do
  local id, tenant, kind, event = nextArg(), nextArg(), nextArg(), nextArg()
  local index = readIndex(id)
  local isOurs = index.tenant == tenant
  -- What is being undone is undone to its end.
  local isUndoing = kind == 'cancel' and redis.call('HEXISTS', indexKey(id), 'undoing') == 1
  if isOurs and not isUndoing and not closedReason(index) then
    local seq = appendEvents(id, index.tip, { event })
    redis.call('HSET', indexKey(id), 'tip', seq, 'wants', seq)
    if kind == 'cancel' then redis.call('HSET', indexKey(id), 'cancel', 1) end
    if index.token == '' then wanted[#wanted + 1] = id end
  end
  answers[#answers + 1] = isOurs and redis.call('HGET', indexKey(id), 'status')
end
lowerDues(wanted)
return answers
