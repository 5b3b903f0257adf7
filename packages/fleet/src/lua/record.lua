-- Records how claims ended: the fact, the output, and the due of the workflow.
-- ARGV per item: id, task, epoch, holder, kind ('completed' | 'failed' | 'released'), output ('' for none, or where the
--   event holds it), may be quiet (0 | 1), event (JSON).
-- Answer per item: 'recorded' (also when the same holder says a result again), or why the claim is lost:
--   'superseded' | 'cancelled' | 'ended' | 'unknown'.

local answers, wanted, leases = {}, {}, {}
while position < #ARGV do
  local id, task, epoch, holder, kind = nextArg(), nextArg(), nextNumber(), nextArg(), nextArg()
  local output, mayBeQuiet, event = nextArg(), nextArg() == '1', nextArg()
  local reason, index = lostReason(id, task, epoch, holder)
  if not reason and index.claim.state == 'held' then
    local seq = appendEvents(id, index.tip, { event })
    index.claim.state = kind == 'released' and 'revoked' or 'recorded'
    index.claim.seq = kind == 'completed' and seq or 0
    if output ~= '' then redis.call('HSET', outKey(id), task, output) end
    leases[#leases + 1] = leaseMember(id, task)
    local isQuiet = mayBeQuiet and index.quiet > 0
    redis.call('HSET', indexKey(id), claimField(task), formatClaim(index.claim), 'tip', seq,
      isQuiet and 'quiet' or 'wants', isQuiet and index.quiet - 1 or seq)
    -- While a look has the workflow its due stays where it is; `settle` sees what is wanted.
    if not isQuiet and index.token == '' then wanted[#wanted + 1] = id end
  end
  answers[#answers + 1] = reason or 'recorded'
end
if #leases > 0 then redis.call('ZREM', LEASES, unpack(leases)) end
lowerDues(wanted)
return answers
