-- Reads outputs. ARGV per item: id, task.
-- Answer per item: '=' and JSON, '@' and the hash of a blob, '#' and the completion (JSON) that holds it, or false.

local answers = {}
while position < #ARGV do
  local id, task = nextArg(), nextArg()
  answers[#answers + 1] = readOutput(id, task)
end
return answers
