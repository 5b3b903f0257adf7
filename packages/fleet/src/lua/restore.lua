-- Puts archived workflows back: live ones are due at once, ended ones are kept for their retention.
-- ARGV per item: id, tenant, status, tags (JSON), createdAt, 0 or until when it is kept, name, value and life in ms of its
--   idempotency key (name '' for none); number of fields of the index, then each as name, value; number of lines, then each
--   as time, event (JSON); number of facts that are new, then each as JSON; number of journal entries, then each as task,
--   key, value; number of outputs, then each as task, output; number of open items, then each as seq, kind, time.
-- Answer per item: 'restored', or 'present' where Redis has the workflow.

local answers, wanted = {}, {}
while position < #ARGV do
  local id, tenant, status, tags, createdAt, keptUntil = nextArg(), nextArg(), nextArg(), nextArg(), nextArg(), nextNumber()
  local hash, first, life = nextArg(), nextArg(), nextNumber()
  local isPresent = redis.call('EXISTS', indexKey(id)) == 1
  local function write(...) if not isPresent then redis.call(...) end end

  for i = 1, nextNumber() do write('HSET', indexKey(id), nextArg(), nextArg()) end
  local seq = 0
  for i = 1, nextNumber() do
    seq = seq + 1
    write('XADD', logKey(id), seq .. '-0', 'at', nextArg(), 'event', nextArg())
  end
  for i = 1, nextNumber() do
    seq = seq + 1
    write('XADD', logKey(id), seq .. '-0', 'at', NOW, 'event', nextArg())
  end
  for i = 1, nextNumber() do
    local task = nextArg()
    write('HSET', journalKey(id, task), nextArg(), nextArg())
    if not isPresent then noteChange(id, 'journal:' .. task) end
  end
  for i = 1, nextNumber() do
    local task = nextArg()
    write('HSET', outKey(id), task, nextArg())
    if not isPresent then noteChange(id, 'out:' .. task) end
  end
  for i = 1, nextNumber() do
    local place, kind, at = nextArg(), nextArg(), nextArg()
    write('ZADD', itemsKey(tenant), at, id .. '.' .. place)
    write('HINCRBY', ITEM_COUNTS, kind, 1)
  end
  if not isPresent then
    redis.call('HSET', indexKey(id), 'tip', seq)
    if redis.call('HEXISTS', indexKey(id), 'callback') == 1 then tellSoon(id) end
    redis.call('ZADD', listKey(tenant), createdAt, id)
    redis.call('ZADD', statusListKey(tenant, status), createdAt, id)
    if tags ~= '{}' then
      for tag, value in pairs(cjson.decode(tags)) do redis.call('ZADD', tagListKey(tenant, tag, value), createdAt, id) end
    end
    if hash ~= '' and life > 0 then redis.call('SET', idempotencyKey(tenant, hash), first, 'PX', life, 'NX') end
    if keptUntil > 0 then
      redis.call('ZADD', DUE, keptUntil, id)
      if redis.call('HGET', indexKey(id), 'exported') ~= tostring(seq) then redis.call('ZADD', EXPORT, NOW, id) end
    else
      if status ~= 'queued' and status ~= 'waiting' then redis.call('SADD', ACTIVE, id) end
      redis.call('ZADD', RELAY, NOW, id)
      wanted[#wanted + 1] = id
    end
  end
  answers[#answers + 1] = isPresent and 'present' or 'restored'
end
lowerDues(wanted)
return answers
