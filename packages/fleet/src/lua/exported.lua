-- Says up to which line workflows are in the stream.
-- ARGV per item: id, place of the last line.
-- Answer per item: 1.

local answers = {}
while position < #ARGV do
  local id, seq = nextArg(), nextNumber()
  local exported, shipped = unpack(redis.call('HMGET', indexKey(id), 'exported', 'shipped'))
  if shipped then
    -- Of two that exported at once, the one that had less may come last.
    seq = math.max(seq, tonumber(exported or 0))
    redis.call('HSET', indexKey(id), 'exported', seq)
    local following = seq < tonumber(shipped) and redis.call('XRANGE', logKey(id), (seq + 1) .. '-0', '+', 'COUNT', 1)[1]
    if following then redis.call('ZADD', EXPORT, following[2][2], id) else redis.call('ZREM', EXPORT, id) end
  end
  answers[#answers + 1] = 1
end
return answers
