-- Stores new workflows: log, index, lists and due, or finds the one that an idempotency key names.
-- ARGV per item: id, tenant, priority, tags (JSON), address of its callback or '', idempotency hash or '', body hash, lifetime of the key in ms,
--   time until the first look in ms, event (JSON).
-- Answer per item: {'stored' | 'repeated', id, status} or {'conflict', id}.

local answers = {}
while position < #ARGV do
  local id, tenant, priority, tags, callback = nextArg(), nextArg(), nextArg(), nextArg(), nextArg()
  local hash, bodyHash, lifetime, firstLook, event = nextArg(), nextArg(), nextArg(), nextNumber(), nextArg()
  local earlier = earlierAnswer(tenant, hash, bodyHash)
  if earlier then
    answers[#answers + 1] = earlier
  else
    redis.call('HSET', indexKey(id), 'tenant', tenant, 'status', 'queued', 'priority', priority, 'tags', tags,
      'createdAt', NOW, 'tip', appendEvents(id, 0, { event }), 'revision', 0, 'seen', 1, 'wants', 0, 'quiet', 0,
      'wave', 0, 'unsure', 0, 'token', '', 'idempotency', hash, 'incarnation', 1)
    if callback ~= '' then redis.call('HSET', indexKey(id), 'callback', callback) end
    enlist(id, tenant, 'queued', tags)
    if hash ~= '' then redis.call('SET', idempotencyKey(tenant, hash), id .. ' ' .. bodyHash, 'PX', lifetime) end
    redis.call('ZADD', DUE, NOW + firstLook, id)
    answers[#answers + 1] = { 'stored', id, 'queued' }
  end
end
return answers
