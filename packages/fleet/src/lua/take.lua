-- Takes the workflows that are due, for one look each, and reads what is new in them.
-- ARGV: most workflows, token, time until somebody else may take them in ms, lease in ms, longest gap between takes
--   that counts as calm in ms, retention of ended workflows in ms.
-- Answer: {now, how late the oldest due was in ms, time of the next due or -1, entry...}; an entry is {id, revision, repeated (0 | 1), lines from the last
--   one that an earlier look saw (that one included), expired claims as task, epoch, task, epoch...}, or
--   {id, -1} for one whose retention is over.

local most, token, takeMs, leaseMs, gapMs = nextNumber(), nextArg(), nextNumber(), nextNumber(), nextNumber()
local retentionMs = nextNumber()

-- Leases are judged only after one full lease of calm: while Redis was away nobody could renew.
local last, calm = unpack(redis.call('HMGET', TICK, 'last', 'calm'))
if not last or NOW - tonumber(last) > gapMs or NOW < tonumber(last) then calm = NOW end
if not last or calm == NOW or NOW - tonumber(last) >= 500 then redis.call('HSET', TICK, 'last', NOW, 'calm', calm) end

local expired = {}
if NOW - tonumber(calm) >= leaseMs then
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', LEASES, '-inf', NOW, 'LIMIT', 0, 1000)) do
    local id, task = string.match(member, '^([^|]+)|(.+)$')
    local index = readIndex(id, task)
    local reason = closedReason(index)
    if reason == 'unknown' or reason == 'ended' then
      redis.call('ZREM', LEASES, member)
    else
      expired[id] = expired[id] or {}
      table.insert(expired[id], task)
      table.insert(expired[id], index.claim.epoch)
      if index.token == '' then redis.call('ZADD', DUE, NOW, id) end
    end
  end
end

local oldest = redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')[2]
local late = oldest and math.max(0, NOW - tonumber(oldest)) or 0
local entries, dues = {}, {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', DUE, '-inf', NOW, 'LIMIT', 0, most)) do
  local revision, seen, endedAt, before, unsure =
    unpack(redis.call('HMGET', indexKey(id), 'revision', 'seen', 'endedAt', 'token', 'unsure'))
  local keptUntil = endedAt and tonumber(endedAt) + retentionMs or 0
  if not revision then
    redis.call('ZREM', DUE, id)
  elseif keptUntil > NOW then
    -- The look that ended it was cut off before it was settled: being due does not mean that its retention is over.
    redis.call('HSET', indexKey(id), 'token', '')
    dues[#dues + 1] = keptUntil
    dues[#dues + 1] = id
  else
    redis.call('HSET', indexKey(id), 'token', token, 'quiet', 0, 'wave', 0)
    dues[#dues + 1] = NOW + takeMs
    dues[#dues + 1] = id
    if endedAt then
      entries[#entries + 1] = { id, -1 }
    else
      local lines = redis.call('XRANGE', logKey(id), seen .. '-0', '+')
      local isRepeated = before ~= '' or unsure == '1'
      entries[#entries + 1] = { id, tonumber(revision), isRepeated and 1 or 0, lines, expired[id] or {} }
    end
  end
end
if #dues > 0 then redis.call('ZADD', DUE, unpack(dues)) end

local following = redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')[2]
return { NOW, late, following and tonumber(following) or -1, unpack(entries) }
