-- Admits workflows and takes them for the caller's look, so that no second look is needed to plan them.
-- ARGV: token, time until somebody else may take them in ms; then per item: id, event (JSON).
-- Answer: {now, entry...}; an entry is {id, revision, repeated (0), lines} as `take` gives it, or false where there is
--   nothing to start (started before, ended, unknown, cancelled, or a look has it).

local token, takeMs = nextArg(), nextNumber()
local answers = { NOW }
while position < #ARGV do
  local id, event = nextArg(), nextArg()
  local index = readIndex(id)
  local status, createdAt, revision = unpack(redis.call('HMGET', indexKey(id), 'status', 'createdAt', 'revision'))
  local answer = false
  if not closedReason(index) and status == 'queued' and index.token == '' then
    redis.call('HSET', indexKey(id), 'tip', appendEvents(id, index.tip, { event }), 'status', 'running',
      'revision', revision + 1, 'token', token)
    redis.call('ZREM', statusListKey(index.tenant, 'queued'), id)
    redis.call('ZADD', statusListKey(index.tenant, 'running'), createdAt, id)
    redis.call('SADD', ACTIVE, id)
    redis.call('ZADD', DUE, NOW + takeMs, id)
    answer = { id, revision + 1, 0, redis.call('XRANGE', logKey(id), '-', '+') }
  end
  answers[#answers + 1] = answer
end
return answers
