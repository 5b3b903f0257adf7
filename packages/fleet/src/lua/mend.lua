-- Removes what no BullMQ command can work with: keys of a queue of another type than BullMQ gives them, numbers that are
-- none, and jobs that are none. One such key stops the whole queue, for every worker. What waited there is missed by the
-- looks at its workflows, and dispatched anew.
-- KEYS[1] is the hash tag of the queue. ARGV: name of the queue. Answer: names of what was removed.

local queue = SHARD .. ':' .. nextArg() .. ':'

-- Jobs looked at from each end that workers take from: those next in line.
local nextInLine = 200

local types = {
  wait = 'list', paused = 'list', active = 'list', prioritized = 'zset', delayed = 'zset', completed = 'zset',
  failed = 'zset', marker = 'zset', ['waiting-children'] = 'zset', meta = 'hash', events = 'stream', stalled = 'set',
  pc = 'string', id = 'string', ['stalled-check'] = 'string', limiter = 'string',
}
local metaNumbers = { 'opts.maxLenEvents', 'concurrency', 'max', 'duration' }

local removed = {}
local function remove(name)
  redis.call('UNLINK', queue .. name)
  removed[#removed + 1] = name
end
local function typeOf(name)
  local answer = redis.call('TYPE', queue .. name)
  return type(answer) == 'table' and answer.ok or answer
end
local function isNumber(text) return not text or string.match(text, '^%d+$') ~= nil end

for name, wanted in pairs(types) do
  local found = typeOf(name)
  if found ~= 'none' and found ~= wanted then remove(name) end
end
for _, name in ipairs({ 'pc', 'id' }) do
  if not isNumber(redis.call('GET', queue .. name)) then remove(name) end
end
-- Without an end this lock keeps every worker from looking for stalled jobs, for ever.
if redis.call('PTTL', queue .. 'stalled-check') == -1 then remove('stalled-check') end
for _, field in ipairs(metaNumbers) do
  if not isNumber(redis.call('HGET', queue .. 'meta', field)) then
    redis.call('HDEL', queue .. 'meta', field)
    removed[#removed + 1] = 'meta ' .. field
  end
end

-- One that is no job fails the script that fetches it half way, and for all others the one that looks for stalled jobs.
local function isTable(text)
  local isJson, value = pcall(cjson.decode, text)
  return isJson and type(value) == 'table'
end
local function isJob(id)
  local found = typeOf(id)
  if found == 'none' then return false end
  if found == 'hash' then
    local data, opts = unpack(redis.call('HMGET', queue .. id, 'data', 'opts'))
    if data and opts and isTable(data) and isTable(opts) then return true end
  end
  remove(id)
  return false
end
for _, id in ipairs(redis.call('ZRANGE', queue .. 'prioritized', 0, nextInLine - 1)) do
  if not isJob(id) then redis.call('ZREM', queue .. 'prioritized', id) end
end
for _, list in ipairs({ 'wait', 'active' }) do
  for _, id in ipairs(redis.call('LRANGE', queue .. list, -nextInLine, -1)) do
    if not isJob(id) then redis.call('LREM', queue .. list, 0, id) end
  end
end
return removed
