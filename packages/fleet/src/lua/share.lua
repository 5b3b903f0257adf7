-- Reads or changes what the agents of a workflow share. What came of it stands in the journal of the task as the result of
-- a step, in the same step: whoever repeats it, or replays it, gets that again.
-- ARGV: most bytes of all names and values together; then per item: id, task, epoch, holder, key of the step, entry of the
--   journal (JSON) up to the result, name, version that the value is to have (0: never set) or '' to read, value (JSON),
--   event (JSON).
-- Answer per item: the entry of the journal; 'full' where there is no room, and nothing was written; or why the claim is
--   lost, as in step.lua. A result is {"isSet", "value", "version"}: what stands now, and whether it is the new one.

local mostBytes = nextNumber()

local function resultOf(isSet, value, version)
  return '{"isSet":' .. tostring(isSet) .. ',"value":' .. value .. ',"version":' .. version .. '}'
end

-- The result, or nil where there is no room.
local function access(id, index, name, wanted, value, event)
  local field = sharedField(name)
  local text, bytes = unpack(redis.call('HMGET', indexKey(id), field, 'sharedBytes'))
  local version, held = string.match(text or '0 null', '^(%d+) (.*)$')
  if wanted == '' or wanted ~= version then return resultOf(false, held, version) end
  local more = #value - (text and #held or -#name)
  local all = tonumber(bytes or 0) + more
  if more > 0 and all > mostBytes then return nil end
  local tip = appendEvents(id, index.tip, { event })
  redis.call('HSET', indexKey(id), 'tip', tip, field, tip .. ' ' .. value, 'sharedBytes', all)
  return resultOf(true, value, tip)
end

local answers = {}
while position < #ARGV do
  local id, task, epoch, holder, key, entry = nextArg(), nextArg(), nextNumber(), nextArg(), nextArg(), nextArg()
  local name, wanted, value, event = nextArg(), nextArg(), nextArg(), nextArg()
  local reason, index = lostReason(id, task, epoch, holder)
  if not reason and index.claim.state ~= 'held' then reason = 'superseded' end
  local answer = reason or redis.call('HGET', journalKey(id, task), key)
  if not answer then
    local result = access(id, index, name, wanted, value, event)
    answer = 'full'
    if result then
      answer = entry .. result .. '}}'
      redis.call('HSET', journalKey(id, task), key, answer)
      noteChange(id, 'journal:' .. task)
    end
  end
  answers[#answers + 1] = answer
end
return answers
