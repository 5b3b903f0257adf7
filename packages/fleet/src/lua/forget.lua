-- Removes ended workflows whose retention is over, with everything that belongs to them. What is not archived yet, not
-- exported or not told to its callback, stays and is due again later.
-- ARGV: whether there is an archive (0 | 1), whether events are exported (0 | 1), time until then in ms; then per item: id,
--   token of the look.
-- Answer per item: 1 if it is gone, 0 if it stays or another look has it.

local hasArchive, hasExport, laterMs = nextArg() == '1', nextArg() == '1', nextNumber()

local answers = {}
while position < #ARGV do
  local id, token = nextArg(), nextArg()
  local index = indexKey(id)
  local tenant, status, tags, hash, endedAt, held, tip, exported =
    unpack(redis.call('HMGET', index, 'tenant', 'status', 'tags', 'idempotency', 'endedAt', 'token', 'tip', 'exported'))
  local isOurs = endedAt and held == token
  local isUnexported = hasExport and exported ~= tip
  -- Also what ended before events were exported, and so never came to be.
  if isOurs and isUnexported then redis.call('ZADD', EXPORT, 'NX', NOW, id) end
  -- What its callback is still to be told is read from its log.
  local isAwaited = isUnexported or hasArchive and redis.call('ZSCORE', RELAY, id) or redis.call('ZSCORE', NOTIFY, id)
  if isOurs and isAwaited then
    isOurs = false
    redis.call('HSET', index, 'token', '')
    redis.call('ZADD', DUE, NOW + laterMs, id)
  end
  if isOurs then
    for _, field in ipairs(redis.call('HKEYS', index)) do
      local task = string.match(field, '^spec:(.+)$')
      if task then redis.call('UNLINK', journalKey(id, task)) end
    end
    redis.call('UNLINK', index, logKey(id), outKey(id), changesKey(id))
    redis.call('ZREM', listKey(tenant), id)
    redis.call('ZREM', statusListKey(tenant, status), id)
    for tag, value in pairs(cjson.decode(tags)) do redis.call('ZREM', tagListKey(tenant, tag, value), id) end
    -- The key may outlive the workflow: a repeated submit is still told how it ended.
    local first = hash ~= '' and redis.call('GET', idempotencyKey(tenant, hash))
    if first and string.sub(first, 1, #id) == id then
      redis.call('SET', idempotencyKey(tenant, hash), first .. ' ' .. status, 'KEEPTTL')
    end
    redis.call('ZREM', DUE, id)
    redis.call('ZREM', RELAY, id)
    redis.call('ZREM', EXPORT, id)
  end
  answers[#answers + 1] = isOurs and 1 or 0
end
return answers
