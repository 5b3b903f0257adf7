-- Reads one page of a list of a tenant, newest first, within this shard.
-- ARGV per item: tenant, status or '', tag as 'key=value' or '', most entries, newest time wanted or '+inf', id before
--   which entries of that very time begin or ''.
-- Answer per item: a list of {id, status, priority, tags, createdAt, endedAt or false, time of the last change}.

local answers = {}
while position < #ARGV do
  local tenant, status, tag, most, newest, before = nextArg(), nextArg(), nextArg(), nextNumber(), nextArg(), nextArg()
  local list = listKey(tenant)
  if tag ~= '' then list = tagListKey(tenant, string.match(tag, '^([^=]+)=(.*)$'))
  elseif status ~= '' then list = statusListKey(tenant, status) end
  local page, offset = {}, 0
  repeat
    local chunk = redis.call('ZREVRANGEBYSCORE', list, newest, '-inf', 'WITHSCORES', 'LIMIT', offset, most)
    for i = 1, #chunk, 2 do
      local id = chunk[i]
      if #page < most and not (chunk[i + 1] == newest and id >= before) then
        local index = redis.call('HMGET', indexKey(id), 'status', 'priority', 'tags', 'createdAt', 'endedAt')
        if index[1] and (status == '' or index[1] == status) then
          local last = redis.call('XREVRANGE', logKey(id), '+', '-', 'COUNT', 1)[1]
          page[#page + 1] = { id, index[1], index[2], index[3], index[4], index[5], last and last[2][2] or index[4] }
        end
      end
    end
    offset = offset + most
  until #page >= most or #chunk == 0
  answers[#answers + 1] = page
end
return answers
