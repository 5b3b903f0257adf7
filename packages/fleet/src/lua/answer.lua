-- Settles items by what a person says about them, and puts their word into the journal of the task in the same step.
-- ARGV per item: id, seq of the line that opened it, tenant, event (JSON), task, key of the step or '', entry of the
--   journal that stands for the word, or '' where the intent is to go; hash of the word and of whose it is.
-- Answer per item: the time at which it was settled, also to who says the very word again that settled it; 'settled'
--   where it is not open any more, or false where the tenant has no such workflow.

local answers, wanted = {}, {}
while position < #ARGV do
  local id, seq, tenant, event, task, step, entry = nextArg(), nextArg(), nextArg(), nextArg(), nextArg(), nextArg(), nextArg()
  local word = nextArg()
  local index = readIndex(id)
  local answer = false
  if index.tenant == tenant then
    local said, at = string.match(redis.call('HGET', indexKey(id), answerField(seq)) or '', '^(%S+) (%d+)$')
    if said == word then
      answer = tonumber(at)
    elseif closedReason(index) or not closeItems(id, tenant, seq) then
      answer = 'settled'
    else
      if step ~= '' then
        if entry ~= '' then redis.call('HSET', journalKey(id, task), step, entry)
        else redis.call('HDEL', journalKey(id, task), step) end
        noteChange(id, 'journal:' .. task)
      end
      local tip = appendEvents(id, index.tip, { event })
      redis.call('HSET', indexKey(id), 'tip', tip, 'wants', tip, answerField(seq), word .. ' ' .. NOW)
      if index.token == '' then wanted[#wanted + 1] = id end
      answer = NOW
    end
  end
  answers[#answers + 1] = answer
end
lowerDues(wanted)
return answers
