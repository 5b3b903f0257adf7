-- Reads workflows for the archive: each as it is at this moment.
-- ARGV per item: id, place of the first line wanted, number of the last change that is not wanted, or 'shipped' for the
--   last one that the archive has.
-- Answer per item, or false where there is none: {now, fields of the index but specs and input as name, value...; lines;
--   what has changed, each as 'journal:<task>', its entries as key, value... or 'out:<task>', the output;
--   value of its idempotency key and the rest of its life in ms, where it has one}

local answers = {}
while position < #ARGV do
  local id, from, since = nextArg(), nextArg(), nextArg()
  local all, fields, tenant, hash = redis.call('HGETALL', indexKey(id)), {}, nil, nil
  for i = 1, #all, 2 do
    local name, value = all[i], all[i + 1]
    if name == 'tenant' then tenant = value elseif name == 'idempotency' then hash = value end
    if name ~= 'input' and string.sub(name, 1, 5) ~= 'spec:' then
      fields[#fields + 1] = name
      fields[#fields + 1] = value
    end
  end
  if since == 'shipped' then since = redis.call('HGET', indexKey(id), 'shippedChanges') or 0 end
  if not tenant then
    answers[#answers + 1] = false
  else
    local changed = {}
    for _, what in ipairs(redis.call('ZRANGEBYSCORE', changesKey(id), '(' .. since, '+inf')) do
      local kind, task = string.match(what, '^(%a+):(.+)$')
      changed[#changed + 1] = what
      changed[#changed + 1] = kind == 'out' and redis.call('HGET', outKey(id), task)
        or redis.call('HGETALL', journalKey(id, task))
    end
    local key = hash ~= '' and idempotencyKey(tenant, hash)
    local earlier = key and redis.call('GET', key)
    local isOurs = earlier and string.sub(earlier, 1, #id) == id
    answers[#answers + 1] = {
      NOW, fields, redis.call('XRANGE', logKey(id), from .. '-0', '+'), changed,
      isOurs and { earlier, redis.call('PTTL', key) } or {},
    }
  end
end
return answers
