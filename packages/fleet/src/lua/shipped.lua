-- Says what the archive has of workflows now; where events are exported, what is new in it is to be exported next.
-- ARGV: time until the next turn in ms, whether the caller exports (0 | 1); others know by the trace of one that does; then per item: id, place of the last line, number of the last change, whether a
--   checkpoint was written (0 | 1), whether it has the end (0 | 1).
-- Answer per item: 1.

local againMs, isExported = nextNumber(), nextArg() == '1' or redis.call('EXISTS', EXPORTER) == 1
local answers = {}
while position < #ARGV do
  local id, seq, changes, isCheckpoint, hasEnd = nextArg(), nextNumber(), nextNumber(), nextArg() == '1', nextArg() == '1'
  local tip, shipped, shippedChanges, endedAt, exported, heldChanges =
    unpack(redis.call('HMGET', indexKey(id), 'tip', 'shipped', 'shippedChanges', 'endedAt', 'exported', 'changes'))
  if tip then
    -- Of two that shipped at once, the one that had less may come last.
    local fields = { 'shipped', math.max(seq, tonumber(shipped or 0)), 'shippedChanges',
      math.max(changes, tonumber(shippedChanges or 0)) }
    if isCheckpoint then
      fields[#fields + 1] = 'checkpointAt'
      fields[#fields + 1] = NOW
    end
    local isOver = hasEnd and endedAt and tonumber(tip) == seq and changes >= tonumber(heldChanges or 0)
    if isOver then
      fields[#fields + 1] = 'archived'
      fields[#fields + 1] = 1
      redis.call('ZREM', RELAY, id)
    else
      redis.call('ZADD', RELAY, NOW + againMs, id)
    end
    redis.call('HSET', indexKey(id), unpack(fields))
    if isExported and seq > tonumber(exported or 0) then redis.call('ZADD', EXPORT, 'NX', NOW, id) end
  end
  answers[#answers + 1] = 1
end
return answers
