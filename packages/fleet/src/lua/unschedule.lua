-- Removes schedules; KEYS[1] is `{fleet}`.
-- ARGV per item: id, tenant.
-- Answer per item: 1 if the tenant had it, else 0.

local answers = {}
while position < #ARGV do
  local id, tenant = nextArg(), nextArg()
  local wasThere = redis.call('ZREM', schedulesOf(tenant), id)
  if wasThere == 1 then
    redis.call('HDEL', SCHEDULES, id)
    redis.call('HDEL', LAST_SLOTS, id)
    redis.call('ZREM', SLOTS, id)
    -- That there is none left is no loss, which the archive is not to copy.
    redis.call('SET', SHARD .. ':unscheduled', 1)
  end
  answers[#answers + 1] = wasThere
end
return answers
