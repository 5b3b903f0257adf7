-- Reads one page of the items that wait for a person of a tenant, newest first, within this shard.
-- ARGV per item: tenant, kind or '', workflow or '', most entries, newest time wanted or '+inf', item before which
--   entries of that very time begin or ''.
-- Answer per item: a list of {item, time at which it was opened, the event that opened it (JSON)}.

local answers = {}
while position < #ARGV do
  local tenant, kind, workflow, most = nextArg(), nextArg(), nextArg(), nextNumber()
  local newest, before = nextArg(), nextArg()
  local page, offset = {}, 0
  repeat
    local chunk = redis.call('ZREVRANGEBYSCORE', itemsKey(tenant), newest, '-inf', 'WITHSCORES', 'LIMIT', offset, most)
    for i = 1, #chunk, 2 do
      local item = chunk[i]
      local id, seq = string.match(item, '^([^.]+)%.(%d+)$')
      if #page < most and not (chunk[i + 1] == newest and item >= before) and (workflow == '' or id == workflow) then
        local line = redis.call('XRANGE', logKey(id), seq .. '-0', seq .. '-0')[1]
        if line and (kind == '' or cjson.decode(line[2][4]).data.kind == kind) then
          page[#page + 1] = { item, chunk[i + 1], line[2][4] }
        end
      end
    end
    offset = offset + most
  until #page >= most or #chunk == 0
  answers[#answers + 1] = page
end
return answers
