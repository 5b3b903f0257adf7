-- Stores new workflows: log, index, lists and due, or finds the one that an idempotency key names.
-- ARGV per item: id, tenant, priority, tags (JSON), idempotency hash or '', body hash, lifetime of the key in ms,
--   time until the first look in ms, event (JSON).
-- Answer per item: {'stored' | 'repeated', id, status} or {'conflict', id}.

local answers = {}
while position < #ARGV do
  local id, tenant, priority, tags = nextArg(), nextArg(), nextArg(), nextArg()
  local hash, bodyHash, lifetime, firstLook, event = nextArg(), nextArg(), nextArg(), nextNumber(), nextArg()
  local idempotency = hash ~= '' and idempotencyKey(tenant, hash)
  local earlier = idempotency and redis.call('GET', idempotency)
  if earlier then
    local first, body, ending = string.match(earlier, '^(%S+) (%S+) ?(%S*)$')
    local status = redis.call('HGET', indexKey(first), 'status') or ending
    answers[#answers + 1] = body == bodyHash and { 'repeated', first, status } or { 'conflict', first }
  else
    redis.call('HSET', indexKey(id), 'tenant', tenant, 'status', 'queued', 'priority', priority, 'tags', tags,
      'createdAt', NOW, 'tip', appendEvents(id, 0, { event }), 'revision', 0, 'seen', 1, 'wants', 0, 'quiet', 0,
      'wave', 0, 'unsure', 0, 'token', '', 'idempotency', hash)
    redis.call('ZADD', listKey(tenant), NOW, id)
    redis.call('ZADD', statusListKey(tenant, 'queued'), NOW, id)
    if tags ~= '{}' then
      for tag, value in pairs(cjson.decode(tags)) do redis.call('ZADD', tagListKey(tenant, tag, value), NOW, id) end
    end
    if idempotency then redis.call('SET', idempotency, id .. ' ' .. bodyHash, 'PX', lifetime) end
    redis.call('ZADD', DUE, NOW + firstLook, id)
    answers[#answers + 1] = { 'stored', id, 'queued' }
  end
end
return answers
