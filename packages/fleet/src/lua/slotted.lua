-- Says that slots were started; KEYS[1] is `{fleet}`. Of two that started one, the first moves the schedule on.
-- ARGV per item: id of the schedule, the slot that had come, the slot that was started for it, id of the workflow, next slot.
-- Answer per item: 1 if the schedule was still there and at that slot, else 0.

local answers = {}
while position < #ARGV do
  local id, slot, started, workflow, following = nextArg(), nextArg(), nextArg(), nextArg(), nextArg()
  local isFirst = redis.call('ZSCORE', SLOTS, id) == slot
  if isFirst then
    redis.call('ZADD', SLOTS, following, id)
    redis.call('HSET', LAST_SLOTS, id, started .. ' ' .. workflow)
  end
  answers[#answers + 1] = isFirst and 1 or 0
end
return answers
