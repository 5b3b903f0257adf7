-- Takes minutes that are over, each once: who takes one posts it, or nobody does. KEYS[1] is `{fleet}`.
-- ARGV: most minutes to take; oldest minute, counted back from now, that is worth it; minutes of a window.
-- Answer: {now, then by turns: minute, the tallies of its window (series and sum by turns), its own the last}.
-- The first to ask begins with the minute that has just been over.

local most, oldest, window = nextNumber(), nextNumber(), nextNumber()
local MINUTES = SHARD .. ':minutes' -- the last minute that was taken
local over = math.floor(NOW / 60000) - 1
local last = math.max(tonumber(redis.call('GET', MINUTES) or over - 1), over - oldest)
local answer = { NOW }
while last < over and most > 0 do
  last = last + 1
  most = most - 1
  local tallies = {}
  for minute = last - window + 1, last do tallies[#tallies + 1] = redis.call('HGETALL', tallyKey(minute)) end
  answer[#answer + 1] = last
  answer[#answer + 1] = tallies
end
redis.call('SET', MINUTES, last)
return answer
