-- Reads journals. ARGV per item: id, task. Answer per item: key, value, key, value...

local answers = {}
while position < #ARGV do
  local id, task = nextArg(), nextArg()
  answers[#answers + 1] = redis.call('HGETALL', journalKey(id, task))
end
return answers
