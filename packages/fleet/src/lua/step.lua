-- Writes of a running task that leave its claim as it is: results of steps, and progress.
-- ARGV per item: id, task, epoch, holder, kind, key of the step or '', value: the entry, the event or ''.
--   Kinds: 'result' of a step; 'paid', a result whose value begins with what it cost: 'microUsd input output', the tokens,
--   then its hold or '-', each followed by a blank; 'release' of a hold, named in place of a key; 'intent' of an effect that is about to happen; 'outcome' of an effect, in place of its
--   intent; 'withdrawal' of an intent, for the effect did not happen; 'progress'.
-- Answer per item: 'kept', or why the claim is lost: 'superseded' | 'cancelled' | 'ended' | 'unknown'.

-- Counts what a result cost, the first time that it is said.
local function keepPaid(id, task, key, value)
  local microUsd, input, output, hold, from = string.match(value, '^(%d+) (%d+) (%d+) (%S+) ()')
  if redis.call('HSETNX', journalKey(id, task), key, string.sub(value, from)) == 0 then return end
  redis.call('HINCRBY', indexKey(id), 'microUsd', microUsd)
  redis.call('HINCRBY', indexKey(id), 'inputTokens', input)
  redis.call('HINCRBY', indexKey(id), 'outputTokens', output)
  if hold ~= '-' then endHold(id, hold) end
end

local answers = {}
while position < #ARGV do
  local id, task, epoch, holder = nextArg(), nextArg(), nextNumber(), nextArg()
  local kind, key, value = nextArg(), nextArg(), nextArg()
  local reason, index = lostReason(id, task, epoch, holder)
  if not reason and index.claim.state ~= 'held' then reason = 'superseded' end
  if not reason then
    if kind ~= 'progress' and kind ~= 'release' then noteChange(id, 'journal:' .. task) end
    if kind == 'result' or kind == 'intent' then redis.call('HSETNX', journalKey(id, task), key, value)
    elseif kind == 'paid' then keepPaid(id, task, key, value)
    elseif kind == 'release' then endHold(id, key)
    elseif kind == 'outcome' then redis.call('HSET', journalKey(id, task), key, value)
    elseif kind == 'withdrawal' then redis.call('HDEL', journalKey(id, task), key)
    else redis.call('HSET', indexKey(id), 'tip', appendEvents(id, index.tip, { value })) end
  end
  answers[#answers + 1] = reason or 'kept'
end
return answers
