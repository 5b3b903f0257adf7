-- Renews leases. ARGV: lease in ms; then per item: id, task, epoch, holder.
-- Answer per item: 'renewed', or why the claim is lost: 'superseded' | 'cancelled' | 'ended' | 'unknown'.

local leaseMs = nextNumber()
local answers = {}
while position < #ARGV do
  local id, task, epoch, holder = nextArg(), nextArg(), nextNumber(), nextArg()
  local reason, index = lostReason(id, task, epoch, holder)
  if not reason and index.claim.state == 'held' then
    local untilTime = NOW + leaseMs
    if index.claim.deadline > 0 then untilTime = math.min(untilTime, index.claim.deadline) end
    redis.call('ZADD', LEASES, untilTime, leaseMember(id, task))
  end
  answers[#answers + 1] = reason or 'renewed'
end
return answers
