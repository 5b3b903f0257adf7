-- Stores schedules; KEYS[1] is `{fleet}`. A schedule whose id is there already is one that the same idempotency key made.
-- ARGV: most schedules of a tenant; then per item: id, tenant, hash of its body, its first slot, record (JSON).
-- Answer per item: {'stored' | 'repeated' | 'conflict' | 'too-many'}.

local most = nextNumber()
local answers = {}
while position < #ARGV do
  local id, tenant, body, slot, record = nextArg(), nextArg(), nextArg(), nextArg(), nextArg()
  local known = redis.call('HGET', SCHEDULES, id)
  local answer = 'stored'
  if known then
    answer = cjson.decode(known).body == body and 'repeated' or 'conflict'
  elseif redis.call('ZCARD', schedulesOf(tenant)) >= most then
    answer = 'too-many'
  else
    redis.call('HSET', SCHEDULES, id, record)
    redis.call('ZADD', schedulesOf(tenant), NOW, id)
    redis.call('ZADD', SLOTS, slot, id)
  end
  answers[#answers + 1] = { answer }
end
return answers
