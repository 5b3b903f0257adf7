-- Ends looks: gives each workflow the time of its next one, if the look still has it.
-- ARGV per item: id, token, time of the next look, place of the last line seen (0 by a look that failed: it is put off,
--   whatever came), completions that want no look.
-- Answer per item: 'settled', 'again' (a fact came that the look did not see: due now), or 'lost' (another look has it).

local answers, dues = {}, {}
while position < #ARGV do
  local id, token, nextLook, seen, quiet = nextArg(), nextArg(), nextNumber(), nextNumber(), nextNumber()
  local answer = 'lost'
  local held, wants = unpack(redis.call('HMGET', indexKey(id), 'token', 'wants'))
  if held == token then
    answer = seen > 0 and tonumber(wants) > seen and 'again' or 'settled'
    redis.call('HSET', indexKey(id), 'token', '', 'seen', seen, 'quiet', answer == 'again' and 0 or quiet)
    dues[#dues + 1] = answer == 'again' and NOW or nextLook
    dues[#dues + 1] = id
  end
  answers[#answers + 1] = answer
end
if #dues > 0 then redis.call('ZADD', DUE, unpack(dues)) end
return answers
