-- Stores new workflows that share the first lines of another one of the same tenant; see `submit` for the rest.
-- The shared lines keep the times of the source; `forkedFrom` in the first one gets the time of now.
-- ARGV per item: id of the source, place of the last shared line, id, tenant, status, priority, tags (JSON), idempotency
--   hash or '', body hash, lifetime of the key in ms, time until the first look in ms where it waits for admission,
--   first line (JSON); number of facts, then each as JSON; number of fields of the index, then each as name, value;
--   number of outputs to copy, then each as task.
-- Answer per item: {'stored' | 'repeated', id, status} or {'conflict', id}, or false where the tenant has no such source.

local answers, wanted = {}, {}
while position < #ARGV do
  local source, last, id, tenant, status = nextArg(), nextNumber(), nextArg(), nextArg(), nextArg()
  local priority, tags, hash, bodyHash = nextArg(), nextArg(), nextArg(), nextArg()
  local lifetime, firstLook, submitted = nextArg(), nextNumber(), nextArg()
  local facts, fields, tasks = {}, {}, {}
  for i = 1, nextNumber() do facts[i] = nextArg() end
  for i = 1, 2 * nextNumber() do fields[i] = nextArg() end
  for i = 1, nextNumber() do tasks[i] = nextArg() end

  local owner = redis.call('HGET', indexKey(source), 'tenant')
  local lines = owner == tenant and redis.call('XRANGE', logKey(source), '-', last .. '-0') or {}
  local earlier = earlierAnswer(tenant, hash, bodyHash)
  if earlier then
    answers[#answers + 1] = earlier
  elseif #lines < last or last == 0 then
    answers[#answers + 1] = false
  else
    -- Nothing that a client wrote stands before this place.
    lines[1][2][4] = string.gsub(submitted, '"at":0', '"at":' .. NOW, 1)
    for seq, line in ipairs(lines) do redis.call('XADD', logKey(id), seq .. '-0', 'at', line[2][2], 'event', line[2][4]) end
    redis.call('HSET', indexKey(id), 'tenant', tenant, 'status', status, 'priority', priority, 'tags', tags,
      'createdAt', NOW, 'tip', appendEvents(id, last, facts), 'revision', 0, 'seen', 1, 'wants', 0, 'quiet', 0,
      'wave', 0, 'unsure', 0, 'token', '', 'idempotency', hash, 'incarnation', 1)
    writeHash(indexKey(id), fields)
    local outputs = {}
    for _, task in ipairs(tasks) do
      local output = redis.call('HGET', outKey(source), task)
      if output then
        outputs[#outputs + 1] = task
        outputs[#outputs + 1] = output
        noteChange(id, 'out:' .. task)
      end
    end
    writeHash(outKey(id), outputs)
    enlist(id, tenant, status, tags)
    if hash ~= '' then redis.call('SET', idempotencyKey(tenant, hash), id .. ' ' .. bodyHash, 'PX', lifetime) end
    if status == 'queued' then
      redis.call('ZADD', DUE, NOW + firstLook, id)
    else
      redis.call('SADD', ACTIVE, id)
      wanted[#wanted + 1] = id
    end
    answers[#answers + 1] = { 'stored', id, status }
  end
end
lowerDues(wanted)
return answers
