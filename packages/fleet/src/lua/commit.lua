-- Commits decisions, each against the revision that it was decided on: all of it or nothing.
-- ARGV per item: id, token of the look, revision, place of the last line seen, status from now on, 0 or how long the
--   workflow is kept where this ends it in ms (nothing is dispatched then, so that the look is settled by it too),
--   number of events, then each as JSON; number of claim changes, then each as kind ('open' | 'revoke' | 'close' | 'reopen'), task, epoch,
--   attempt, dispatch; number of fields of the index that go with them, then each as name, value; number of items
--   that are opened, then each as the place among the events of the one that opens it, kind; number of items that
--   expire, then each as the seq of the line that opened it; number of entries of journals that go with dispatches, then
--   each as task, key, entry (JSON). The end of a workflow closes its items; while it is
--   'waiting' it is not active.
-- Answer per item: {'ok', seq of the first event, now} or {'stale'} (another decision came first, or another look has it: whoever
--   commits must also be the one whose missing settlement has its dispatches repeated) or {'claimed', task}
--   (the claim that a change names has moved on) or {'settled', seq} (the item was settled before it expired) or {'unseen'} (it would end the workflow, or begin to undo it, over a fact not seen).

local function decideClaims(id, changes)
  local claims = {}
  for _, change in ipairs(changes) do
    local claim = claims[change.task] or parseClaim(redis.call('HGET', indexKey(id), claimField(change.task)))
    claims[change.task] = claim
    if claim.epoch ~= change.epoch then return nil, change.task end
    if change.kind == 'open' then
      if claim.isScheduled then return nil, change.task end
    elseif change.kind == 'revoke' then
      if claim.state ~= 'held' then return nil, change.task end
      claim.state, claim.holder = 'revoked', '-'
    elseif claim.state == 'held' then
      return nil, change.task
    elseif change.kind == 'close' then
      claim.state, claim.holder = 'revoked', '-'
    else
      if claim.attempt ~= change.attempt then claim.claims = 0 end
      claim.attempt, claim.dispatch, claim.state, claim.holder = change.attempt, change.dispatch, 'open', '-'
    end
  end
  return claims
end

-- The first of these items that is not open.
local function firstSettled(open, items)
  for _, seq in ipairs(items) do
    if not string.find(' ' .. open, ' ' .. seq .. ':', 1, true) then return seq end
  end
end

local answers = {}
while position < #ARGV do
  local id, token, revision, seen, status, keptMs = nextArg(), nextArg(), nextNumber(), nextNumber(), nextArg(), nextNumber()
  local events, changes, specs, items, expired, gifts = {}, {}, {}, {}, {}, {}
  for i = 1, nextNumber() do events[i] = nextArg() end
  for i = 1, nextNumber() do
    changes[i] = { kind = nextArg(), task = nextArg(), epoch = nextNumber(), attempt = nextNumber(), dispatch = nextNumber() }
  end
  for i = 1, 2 * nextNumber() do specs[i] = nextArg() end
  for i = 1, nextNumber() do items[i] = { nextNumber(), nextArg() } end
  for i = 1, nextNumber() do expired[i] = nextArg() end
  for i = 1, nextNumber() do gifts[i] = { nextArg(), nextArg(), nextArg() } end

  local index = indexKey(id)
  local held = redis.call('HMGET', index, 'revision', 'tip', 'status', 'tenant', 'createdAt', 'endedAt', 'token', 'items',
    'undoing', 'callback')
  local tip = tonumber(held[2])
  -- What is to be undone is named once: by a decision that has seen everything that was done.
  local beginsUndoing = status == 'compensating' and not held[9]
  if tonumber(held[1]) ~= revision or held[6] or held[7] ~= token then
    answers[#answers + 1] = { 'stale' }
  elseif (keptMs > 0 or beginsUndoing) and tip ~= seen then
    answers[#answers + 1] = { 'unseen' }
  else
    local claims, refused = decideClaims(id, changes)
    local settled = firstSettled(held[8] or '', expired)
    if refused then
      answers[#answers + 1] = { 'claimed', refused }
    elseif settled then
      answers[#answers + 1] = { 'settled', settled }
    else
      local fields = { 'tip', appendEvents(id, tip, events), 'revision', revision + 1, 'status', status }
      for task, claim in pairs(claims) do
        table.insert(fields, claimField(task))
        table.insert(fields, formatClaim(claim))
        redis.call('ZREM', LEASES, leaseMember(id, task))
      end
      for _, gift in ipairs(gifts) do
        redis.call('HSET', journalKey(id, gift[1]), gift[2], gift[3])
        noteChange(id, 'journal:' .. gift[1])
      end
      for _, field in ipairs(specs) do table.insert(fields, field) end
      writeHash(index, fields)
      if beginsUndoing then
        redis.call('HSET', index, 'undoing', 1)
        -- Every claim of what was cancelled is closed by this very decision; what undoes is to run.
        redis.call('HDEL', index, 'cancel')
      end
      if keptMs > 0 then
        redis.call('HSET', index, 'endedAt', NOW, 'token', '')
        redis.call('SREM', ACTIVE, id)
        redis.call('ZADD', DUE, NOW + keptMs, id)
        if held[10] then tellSoon(id) end
        if held[8] and held[8] ~= '' then closeItems(id, held[4]) end
      else
        for _, seq in ipairs(expired) do closeItems(id, held[4], seq) end
        for _, item in ipairs(items) do item[1] = item[1] + tip end
        if #items > 0 then openItems(id, held[4], items) end
      end
      if held[3] ~= status then
        if status == 'waiting' then redis.call('SREM', ACTIVE, id)
        elseif held[3] == 'waiting' and keptMs == 0 then redis.call('SADD', ACTIVE, id) end
        redis.call('ZREM', statusListKey(held[4], held[3]), id)
        redis.call('ZADD', statusListKey(held[4], status), held[5], id)
      end
      answers[#answers + 1] = { 'ok', tip + 1, NOW }
    end
  end
end
return answers
