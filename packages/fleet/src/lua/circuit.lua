-- Opens, tries and closes circuits; KEYS[1] is `{fleet}`.
-- ARGV: how long one is open the first time in ms, twice as long each time after that, at most so long, probes under way
--   at once, how long a probe may take; then per item: circuit, word, name of the caller.
-- Words: 'broke' (calls fail), 'enter' (may a call be made?), 'passed' (a probe succeeded), 'left' (a probe said nothing).
-- Answer per item: {'closed', 0}, {'open', ms until it may be tried}, or to 'enter' {'probe', 0}: make this one call.

local firstMs, longestMs, mostProbes, probeMs = nextNumber(), nextNumber(), nextNumber(), nextNumber()
local probeAgainMs = 1000

local function broke(circuit)
  local till, breaks = openCircuit(circuit)
  -- What was under way as it opened, and fails now, is no news.
  if till and till > NOW then return { 'open', till - NOW } end
  breaks = breaks + 1
  till = NOW + math.min(firstMs * 2 ^ math.min(breaks - 1, 16), longestMs)
  redis.call('HSET', CIRCUITS, circuit, till .. ' ' .. breaks)
  redis.call('DEL', probesKey(circuit))
  return { 'open', till - NOW }
end

local function enter(circuit, caller)
  local till = openCircuit(circuit)
  if not till then return { 'closed', 0 } end
  if till > NOW then return { 'open', till - NOW } end
  local probes = probesKey(circuit)
  redis.call('ZREMRANGEBYSCORE', probes, '-inf', NOW)
  if redis.call('ZCARD', probes) >= mostProbes then return { 'open', probeAgainMs } end
  redis.call('ZADD', probes, NOW + probeMs, caller)
  redis.call('PEXPIRE', probes, probeMs)
  return { 'probe', 0 }
end

local answers = {}
while position < #ARGV do
  local circuit, word, caller = nextArg(), nextArg(), nextArg()
  local answer = { 'closed', 0 }
  if word == 'broke' then
    answer = broke(circuit)
  elseif word == 'enter' then
    answer = enter(circuit, caller)
  elseif word == 'passed' then
    redis.call('HDEL', CIRCUITS, circuit)
    redis.call('DEL', probesKey(circuit))
  else
    redis.call('ZREM', probesKey(circuit), caller)
  end
  answers[#answers + 1] = answer
end
return answers
