-- Says what workflows were told of.
-- ARGV per item: id, place of the last line that was told of, what is being told as `notify` has it, time until its next
--   turn in ms, or 0 where nothing is left to tell: then it has its next turn when there is.
-- Answer per item: 1.

local answers = {}
while position < #ARGV do
  local id, seq, telling, againMs = nextArg(), nextNumber(), nextArg(), nextNumber()
  local tip, told, endedAt = unpack(redis.call('HMGET', indexKey(id), 'tip', 'told', 'endedAt'))
  if tip then
    -- Of two that told at once, the one that is behind may come last.
    local place = math.max(seq, tonumber(told or 0))
    local fields = { 'told', place, 'telling', telling }
    if place > tonumber(told or 0) then
      -- The archive has it too: a rebuild tells little twice.
      redis.call('HINCRBY', indexKey(id), 'changes', 1)
      if endedAt then
        fields[#fields + 1] = 'archived'
        fields[#fields + 1] = 0
        redis.call('ZADD', RELAY, NOW, id)
      end
    end
    redis.call('HSET', indexKey(id), unpack(fields))
    if againMs > 0 then
      redis.call('ZADD', NOTIFY, NOW + againMs, id)
    elseif tonumber(tip) == seq then
      redis.call('ZREM', NOTIFY, id)
    else
      redis.call('ZADD', NOTIFY, NOW, id)
    end
  end
  answers[#answers + 1] = 1
end
return answers
