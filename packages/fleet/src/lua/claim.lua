-- Claims tasks for the workers that found them in their queue.
-- ARGV: lease in ms, most bytes of outputs that go inline; then per item: id, task, attempt, dispatch, holder, worker.
-- Answer per item: {'claimed', epoch, claims of this attempt, tenant, spec, input or false, output of each task that the
--   spec needs: as lua/outputs.lua gives it, or '?' (read it by itself)},
--   or {'held' | 'settled' | 'superseded' | 'cancelled' | 'ended' | 'unknown'}.
-- A spec is 'timeoutMs (0 for none)', 'needs the input (0 | 1)', 'tasks, comma separated', each followed by a blank, then JSON.

local leaseMs, inlineBytes = nextNumber(), nextNumber()

local function claimed(id, claim, tenant, spec)
  local timeout, wantsInput, needs, from = string.match(spec, '^(%d+) (%d) (%S*) ()')
  local answer = {
    'claimed', claim.epoch, claim.claims, tenant, string.sub(spec, from),
    wantsInput == '1' and redis.call('HGET', indexKey(id), 'input'),
  }
  for need in string.gmatch(needs, '[^,]+') do
    local out = readOutput(id, need)
    if out then
      inlineBytes = inlineBytes - #out
      if inlineBytes < 0 then out = '?' end
    end
    answer[#answer + 1] = out
  end
  return answer, tonumber(timeout)
end

local answers, leases = {}, {}
while position < #ARGV do
  local id, task, attempt, dispatch, holder, worker = nextArg(), nextArg(), nextNumber(), nextNumber(), nextArg(), nextArg()
  local index = readIndex(id, task)
  local claim, reason = index.claim, closedReason(index)
  local spec = not reason and redis.call('HGET', indexKey(id), specField(task))
  local answer
  local isAhead = not claim.isScheduled or attempt > claim.attempt or (attempt == claim.attempt and dispatch > claim.dispatch)
  if reason or not spec or isAhead then
    -- A job can be ahead of the log where a failover has forgotten what it followed from: it is added again in its time.
    answer = { reason or 'unknown' }
  elseif claim.state == 'held' and claim.holder == holder then
    answer = claimed(id, claim, index.tenant, spec)
  elseif attempt < claim.attempt or dispatch < claim.dispatch then
    answer = { claim.state == 'recorded' and 'settled' or 'superseded' }
  elseif claim.state == 'held' then
    answer = { 'held' }
  elseif claim.state ~= 'open' then
    answer = { claim.state == 'recorded' and 'settled' or 'superseded' }
  else
    claim.epoch, claim.claims, claim.state, claim.holder = claim.epoch + 1, claim.claims + 1, 'held', holder
    local timeout
    answer, timeout = claimed(id, claim, index.tenant, spec)
    claim.deadline = timeout > 0 and NOW + timeout or 0
    local started = string.format(
      '{"type":"task.started","taskId":"%s","attempt":%d,"epoch":%d,"data":{"worker":"%s","claim":%d}}',
      task, claim.attempt, claim.epoch, worker, claim.claims)
    redis.call('HSET', indexKey(id), claimField(task), formatClaim(claim), 'tip', appendEvents(id, index.tip, { started }))
    leases[#leases + 1] = timeout > 0 and math.min(NOW + leaseMs, claim.deadline) or NOW + leaseMs
    leases[#leases + 1] = leaseMember(id, task)
  end
  answers[#answers + 1] = answer
end
if #leases > 0 then redis.call('ZADD', LEASES, unpack(leases)) end
return answers
