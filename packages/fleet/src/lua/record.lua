-- Records how claims ended: the fact, the output, and the due of the workflow. The last quiet completion schedules the
-- wave that was decided ahead for it, and whoever recorded it adds the jobs.
-- ARGV: time until a look makes sure of those jobs in ms; then per item: id, task, epoch, holder, kind, output ('' for
--   none, or where the event holds it), may be quiet (0 | 1), event (JSON). Kinds: 'completed' and 'failed' end the
--   attempt; 'released', 'parked' (the event opens an item) and 'died' (the task had a process to itself) the claim only.
-- Answer per item: {'recorded', tasks of a wave as the prelude gives them, or ''} (without them when the same holder says
--   a result again), or why the claim is lost: {'superseded' | 'cancelled' | 'ended' | 'unknown'}.

local sureMs = nextNumber()
local answers, wanted, leases, unsure = {}, {}, {}, {}

-- Schedules the next wave; answers the fields of the index that change, and its tasks.
local function scheduleWave(id, index, tip)
  local wave = redis.call('HGET', indexKey(id), waveField(index.wave))
  local quiet, more, tasks, from = string.match(wave, '^(%d+) (%d) (%S+) ()')
  unsure[#unsure + 1] = NOW + sureMs
  unsure[#unsure + 1] = id
  tip = appendEvents(id, tip, { string.sub(wave, from) })
  local fields = { 'tip', tip, 'quiet', quiet, 'wave', more == '1' and index.wave + 1 or 0, 'unsure', 1 }
  for task in string.gmatch(tasks, '([^:,]+):[^,]+') do
    fields[#fields + 1] = claimField(task)
    fields[#fields + 1] = OPEN_CLAIM
  end
  return fields, tasks
end

while position < #ARGV do
  local id, task, epoch, holder, kind = nextArg(), nextArg(), nextNumber(), nextArg(), nextArg()
  local output, mayBeQuiet, event = nextArg(), nextArg() == '1', nextArg()
  local reason, index = lostReason(id, task, epoch, holder)
  local tasks = ''
  if not reason and index.claim.state == 'held' then
    local seq = appendEvents(id, index.tip, { event })
    index.claim.state = (kind == 'completed' or kind == 'failed') and 'recorded' or 'revoked'
    index.claim.seq = kind == 'completed' and seq or 0
    if kind == 'parked' then openItems(id, index.tenant, { { seq, cjson.decode(event).data.kind } }) end
    if output ~= '' then
      redis.call('HSET', outKey(id), task, output)
      noteChange(id, 'out:' .. task)
    end
    leases[#leases + 1] = leaseMember(id, task)
    local fields
    if mayBeQuiet and index.quiet > 0 then
      fields = { 'tip', seq, 'quiet', index.quiet - 1 }
    elseif mayBeQuiet and index.wave > 0 then
      fields, tasks = scheduleWave(id, index, seq)
    else
      fields = { 'tip', seq, 'wants', seq }
      -- While a look has the workflow its due stays where it is; `settle` sees what is wanted.
      if index.token == '' then wanted[#wanted + 1] = id end
    end
    redis.call('HSET', indexKey(id), claimField(task), formatClaim(index.claim), unpack(fields))
  end
  answers[#answers + 1] = reason and { reason } or { 'recorded', tasks }
end
if #leases > 0 then redis.call('ZREM', LEASES, unpack(leases)) end
if #unsure > 0 then redis.call('ZADD', DUE, 'LT', unpack(unsure)) end
lowerDues(wanted)
return answers
