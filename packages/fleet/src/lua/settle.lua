-- Ends looks: gives each workflow the time of its next one, if the look still has it.
-- ARGV per item: id, token, time of the next look, place of the last line seen (0 by a look that failed: it is put off,
--   whatever came), whether jobs may be missing all the same (0 | 1), completions that want no look, number of waves
--   after those, then each as the prelude gives it.
-- Answer per item: 'settled', 'again' (a fact came that the look did not see: due now), or 'lost' (another look has it).

local answers, dues = {}, {}
while position < #ARGV do
  local id, token, nextLook, seen, unsure, quiet = nextArg(), nextArg(), nextNumber(), nextNumber(), nextArg(), nextNumber()
  local waves = {}
  for i = 1, nextNumber() do waves[i] = nextArg() end
  local answer = 'lost'
  local held, wants = unpack(redis.call('HMGET', indexKey(id), 'token', 'wants'))
  if held == token then
    answer = seen > 0 and tonumber(wants) > seen and 'again' or 'settled'
    local fields = { 'token', '', 'seen', seen, 'unsure', unsure }
    if answer == 'settled' then
      table.insert(fields, 'quiet')
      table.insert(fields, quiet)
      table.insert(fields, 'wave')
      table.insert(fields, #waves > 0 and 1 or 0)
      for number, wave in ipairs(waves) do
        table.insert(fields, waveField(number))
        table.insert(fields, wave)
      end
    end
    redis.call('HSET', indexKey(id), unpack(fields))
    dues[#dues + 1] = answer == 'again' and NOW or nextLook
    dues[#dues + 1] = id
  end
  answers[#answers + 1] = answer
end
if #dues > 0 then redis.call('ZADD', DUE, unpack(dues)) end
return answers
