-- Sets apart what a call of a model may cost at most, so that a workflow spends no more than its budget.
-- ARGV per item: id, task, epoch, holder, name of the hold, microUsd, tokens; of both what the workflow may spend in all,
--   '' where that is not bounded.
-- Answer per item: 'held', also when it is said again; 'busy' while calls under way hold what is left; 'exhausted' when
--   too little is left whatever they will cost, or nobody is under way any more who will say so; or why the claim is
--   lost, as in step.lua.

local function judge(spent, held, wanted, bound)
  if bound == '' or spent + held + wanted <= tonumber(bound) then return 'held' end
  return spent + wanted <= tonumber(bound) and 'busy' or 'exhausted'
end

-- Whether one of the calls that hold something may still say what it cost: its claim stands.
local function isUnderWay(id)
  local cursor = '0'
  repeat
    local page = redis.call('HSCAN', indexKey(id), cursor, 'MATCH', holdField('*'), 'COUNT', 1000)
    cursor = page[1]
    for i = 2, #page[2], 2 do
      local task, epoch = string.match(page[2][i], '^%d+ %d+ (%S+) (%d+)$')
      local claim = readIndex(id, task).claim
      if claim.state == 'held' and claim.epoch == tonumber(epoch) then return true end
    end
  until cursor == '0'
  return false
end

local answers = {}
while position < #ARGV do
  local id, task, epoch, holder, hold = nextArg(), nextArg(), nextNumber(), nextArg(), nextArg()
  local microUsd, tokens, mostMicroUsd, mostTokens = nextNumber(), nextNumber(), nextArg(), nextArg()
  local answer, index = lostReason(id, task, epoch, holder)
  if not answer and index.claim.state ~= 'held' then answer = 'superseded' end
  if not answer then
    local spentMicroUsd, input, output, heldMicroUsd, heldTokens, known = unpack(redis.call('HMGET', indexKey(id),
      'microUsd', 'inputTokens', 'outputTokens', 'heldMicroUsd', 'heldTokens', holdField(hold)))
    local money = judge(tonumber(spentMicroUsd or 0), tonumber(heldMicroUsd or 0), microUsd, mostMicroUsd)
    local amount = judge((input or 0) + (output or 0), tonumber(heldTokens or 0), tokens, mostTokens)
    if known then answer = 'held'
    elseif money ~= 'held' or amount ~= 'held' then
      local mayBeFreed = money ~= 'exhausted' and amount ~= 'exhausted' and isUnderWay(id)
      answer = mayBeFreed and 'busy' or 'exhausted'
    else
      redis.call('HINCRBY', indexKey(id), 'heldMicroUsd', microUsd)
      redis.call('HINCRBY', indexKey(id), 'heldTokens', tokens)
      redis.call('HSET', indexKey(id), holdField(hold), microUsd .. ' ' .. tokens .. ' ' .. task .. ' ' .. epoch)
      answer = 'held'
    end
  end
  answers[#answers + 1] = answer
end
return answers
