-- Reads the schedules of a tenant, oldest first; KEYS[1] is `{fleet}`.
-- ARGV: tenant, id of the one that is wanted or ''.
-- Answer: an entry per schedule: {id, when it was made, record (JSON), its next slot, its last slot and what that started,
--   blank separated, or ''}.

local tenant, wanted = nextArg(), nextArg()
local answer = {}
local made = redis.call('ZRANGE', schedulesOf(tenant), 0, -1, 'WITHSCORES')
for i = 1, #made, 2 do
  local id = made[i]
  if wanted == '' or id == wanted then
    answer[#answer + 1] = { id, made[i + 1], redis.call('HGET', SCHEDULES, id), redis.call('ZSCORE', SLOTS, id),
      redis.call('HGET', LAST_SLOTS, id) or '' }
  end
end
return answer
