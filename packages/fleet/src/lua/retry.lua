-- Opens workflows again that failed or were aborted: the fact, the status and a look at once.
-- All open claims are closed: whoever ran a task when the workflow ended, or finds an old job of it, can do nothing with
-- it any more. `decide` opens each task that is to run anew by its dispatch.
-- ARGV per item: id, tenant, hash of the idempotency key or '', event (JSON).
-- Answer per item: {'retried' | 'repeated' (under that key before) | 'refused' (not failed or aborted, or undone), status}, or false
--   where the tenant has no such workflow.

local answers, wanted = {}, {}
while position < #ARGV do
  local id, tenant, key, event = nextArg(), nextArg(), nextArg(), nextArg()
  local index, retried = indexKey(id), 'retry:' .. key
  local owner, status, endedAt, createdAt, tip, isRepeated =
    unpack(redis.call('HMGET', index, 'tenant', 'status', 'endedAt', 'createdAt', 'tip', retried))
  if owner ~= tenant then
    answers[#answers + 1] = false
  elseif isRepeated then
    answers[#answers + 1] = { 'repeated', status }
  elseif not endedAt or redis.call('HEXISTS', index, 'undoing') == 1 or (status ~= 'failed' and status ~= 'aborted') then
    answers[#answers + 1] = { 'refused', status }
  else
    local seq = appendEvents(id, tonumber(tip), { event })
    local fields = { 'status', 'running', 'tip', seq, 'wants', seq, 'token', '', 'quiet', 0, 'wave', 0,
      'unsure', 0, 'archived', 0 }
    for _, field in ipairs(redis.call('HKEYS', index)) do
      local task = string.match(field, '^spec:(.+)$')
      local claim = task and parseClaim(redis.call('HGET', index, claimField(task)))
      if claim and (claim.state == 'open' or claim.state == 'held') then
        claim.state, claim.holder = 'revoked', '-'
        table.insert(fields, claimField(task))
        table.insert(fields, formatClaim(claim))
        redis.call('ZREM', LEASES, leaseMember(id, task))
      end
    end
    if key ~= '' then
      table.insert(fields, retried)
      table.insert(fields, 1)
    end
    writeHash(index, fields)
    -- With the end goes the look of the retention: `forget` removes nothing that has not ended.
    redis.call('HDEL', index, 'endedAt')
    redis.call('ZREM', statusListKey(tenant, status), id)
    redis.call('ZADD', statusListKey(tenant, 'running'), createdAt, id)
    redis.call('SADD', ACTIVE, id)
    redis.call('ZADD', RELAY, NOW, id)
    wanted[#wanted + 1] = id
    answers[#answers + 1] = { 'retried', 'running' }
  end
end
lowerDues(wanted)
return answers
