-- Pauses and resumes agent types; KEYS[1] is `{fleet}`.
-- ARGV per item: agent type, 'pause' | 'resume', id of the API key that says so.
-- Answer per item: since when it is paused in ms, 0 for not at all, -1 where no worker ever registered that type.

local answers = {}
while position < #ARGV do
  local agent, word, by = nextArg(), nextArg(), nextArg()
  local since = pausedSince(agent)
  if redis.call('HEXISTS', SHARD .. ':agents', agent) == 0 then
    since = -1
  elseif word == 'resume' then
    -- The entry stays: a fleet in which nothing is paused is another thing than one that has lost what was.
    if since > 0 then redis.call('HSET', PAUSED, agent, '') end
    since = 0
  elseif since == 0 then
    since = NOW
    redis.call('HSET', PAUSED, agent, since .. ' ' .. by)
  end
  answers[#answers + 1] = since
end
return answers
