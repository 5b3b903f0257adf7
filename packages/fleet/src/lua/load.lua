-- Reads logs. ARGV per item: id, place of the first line wanted, most lines.
-- Answer per item: {tenant, status, ended (0 | 1), revision, place of the last line there is, lines, millionths of a
--   dollar, input and output tokens that it has spent}, or false for an unknown workflow.

local answers = {}
while position < #ARGV do
  local id, from, most = nextArg(), nextNumber(), nextNumber()
  local tenant, status, endedAt, revision, tip, microUsd, input, output = unpack(redis.call('HMGET', indexKey(id),
    'tenant', 'status', 'endedAt', 'revision', 'tip', 'microUsd', 'inputTokens', 'outputTokens'))
  if tenant then
    local lines = from <= tonumber(tip) and redis.call('XRANGE', logKey(id), from .. '-0', '+', 'COUNT', most) or {}
    answers[#answers + 1] = { tenant, status, endedAt and 1 or 0, tonumber(revision), tonumber(tip), lines,
      tonumber(microUsd or 0), tonumber(input or 0), tonumber(output or 0) }
  else
    answers[#answers + 1] = false
  end
end
return answers
