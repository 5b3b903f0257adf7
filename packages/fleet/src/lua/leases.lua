-- Reads when the workers of running tasks were last heard of.
-- ARGV: lease in ms; then per item: id, task.
-- Answer per item: {ms since then, that time, end of the lease}, or false where nobody has the task.

local leaseMs = nextNumber()
local answers = {}
while position < #ARGV do
  local id, task = nextArg(), nextArg()
  local till = tonumber(redis.call('ZSCORE', LEASES, leaseMember(id, task)) or '')
  local heard = till and till - leaseMs
  if till and till == readIndex(id, task).claim.deadline then
    -- It ends with the time of the task, whenever it was renewed: as long as it holds, the worker counts as heard.
    heard = math.min(NOW, till)
  end
  answers[#answers + 1] = till and { NOW - heard, heard, till } or false
end
return answers
