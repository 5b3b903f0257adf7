-- Stands before every script: the names of all keys of a shard, and what scripts share.
-- KEYS[1] is the hash tag of the shard, `{s<shard>}`. Every key that a script touches begins with it, so it stays in
-- one slot. Scripts take lists: ARGV holds one item after the other, and the answer holds one entry an item.
-- What a script costs is the number of its redis.call: what belongs together is read and written in one.

local SHARD = KEYS[1]
local DUE = SHARD .. ':due'       -- workflow -> time of its next look
local LEASES = SHARD .. ':leases' -- workflow|task -> end of the lease
local TICK = SHARD .. ':tick'     -- last: time of a take; calm: since when takes came without a gap
local ACTIVE = SHARD .. ':active' -- workflows that were admitted, have not ended and do not wait for a person
local WAKE = SHARD .. ':wake'     -- channel: something became due
local RELAY = SHARD .. ':relay'   -- workflow -> when the archive is to look at it next; gone once its end is archived
local NOTIFY = SHARD .. ':notify' -- workflow -> when its callback is to be told of something next; gone once it knows all
local EXPORT = SHARD .. ':export' -- workflow with lines that are archived and not exported -> since when
local EXPORTER = SHARD .. ':exporter' -- holder and until: the one supervisor that exports; gone a day after the last did

-- Fields of the index: tenant, status, priority, tags (JSON), createdAt, endedAt, idempotency (name of the key or '');
-- tip (seq of the last line), revision (number of decisions), seen (seq up to which looks have folded), wants (seq of
-- the last fact that wants a look), quiet (completions that want none), wave (number of the wave that the completion
-- after those schedules, 0 for none), unsure (1 while jobs of a wave may not have been added), token (of the look that
-- has the workflow, or ''), cancel (1 once asked for), undoing (1 once what was done is
-- being undone), items (those that are open); input (JSON); by task `spec:<task>` and `claim:<task>`; by hash of
-- the idempotency key of a retry `retry:<hash>`, of a signal `signal:<hash>`, which is the hash of its body; by the seq of a settled item `answer:<seq>`, which is the hash of what
-- was said by whom, a blank, and when; by name `shared:<name>`,
-- which is the version, a blank, and the value (JSON) that agents share, with sharedBytes of all; by number `wave:<n>`, which is 'quiet completions in it', 'whether
-- another follows (0 | 1)', 'task:agent:priority' of each of its tasks, comma separated, each followed by a blank, then
-- the event (JSON).
-- For its callback, where it has one: callback (its address), told (seq up to which it was told), telling (see `notify`).
-- Of calls of models: microUsd, inputTokens, outputTokens that were spent; heldMicroUsd and heldTokens, set apart for
-- calls under way and for those of which nobody knows, each as `hold:<name>`, 'microUsd tokens task epoch'.
-- For the archive: incarnation (1, one more after each rebuild), changes (number of changes beside the log), shipped and
-- shippedChanges (what of both is archived), checkpointAt (time of the last checkpoint), archived (1 once its end is).
-- For the export: exported (seq of the last line that is in the stream).
local function indexKey(id) return SHARD .. ':wf:' .. id .. ':index' end
local function logKey(id) return SHARD .. ':wf:' .. id .. ':log' end
local function outKey(id) return SHARD .. ':wf:' .. id .. ':out' end
local function changesKey(id) return SHARD .. ':wf:' .. id .. ':changes' end -- 'journal:<task>' | 'out:<task>' -> number of its last change
local function journalKey(id, task) return SHARD .. ':wf:' .. id .. ':journal:' .. task end
local function idempotencyKey(tenant, hash) return SHARD .. ':idem:' .. tenant .. ':' .. hash end
local function listKey(tenant) return SHARD .. ':list:' .. tenant end
local function statusListKey(tenant, status) return SHARD .. ':list:' .. tenant .. ':' .. status end
local function tagListKey(tenant, tag, value) return SHARD .. ':list:' .. tenant .. ':tag:' .. tag .. '=' .. value end
local RELAY_EVERY_MS = 1000

local function tallyKey(minute) return SHARD .. ':tally:' .. minute end -- series -> what the fleet counted in that minute

local function leaseMember(id, task) return id .. '|' .. task end

local time = redis.call('TIME')
local NOW = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local position = 0
local function nextArg()
  position = position + 1
  return ARGV[position]
end
local function nextNumber() return tonumber(nextArg()) end

-- Appends events (JSON without seq and at) behind `tip` and answers the new tip, which the caller stores.
local function appendEvents(id, tip, events)
  local log = logKey(id)
  for _, event in ipairs(events) do
    tip = tip + 1
    redis.call('XADD', log, tip .. '-0', 'at', NOW, 'event', event)
  end
  return tip
end

-- Redis takes a limited number of arguments from a script at once.
local function writeHash(key, flat)
  for first = 1, #flat, 4000 do redis.call('HSET', key, unpack(flat, first, math.min(first + 3999, #flat))) end
end

-- Counts a change beside the log, so that the archive sees it.
local function noteChange(id, what)
  redis.call('ZADD', changesKey(id), redis.call('HINCRBY', indexKey(id), 'changes', 1), what)
end

-- What an idempotency key (hash, or '') was answered before: {'repeated', id, status}, {'conflict', id}, or nil.
local function earlierAnswer(tenant, hash, bodyHash)
  local earlier = hash ~= '' and redis.call('GET', idempotencyKey(tenant, hash))
  if not earlier then return nil end
  local first, body, ending = string.match(earlier, '^(%S+) (%S+) ?(%S*)$')
  if body ~= bodyHash then return { 'conflict', first } end
  return { 'repeated', first, redis.call('HGET', indexKey(first), 'status') or ending }
end

-- Puts a new workflow into the lists of its tenant, and before the archive; tags are JSON.
local function enlist(id, tenant, status, tags)
  redis.call('ZADD', RELAY, NOW + RELAY_EVERY_MS, id)
  redis.call('ZADD', listKey(tenant), NOW, id)
  redis.call('ZADD', statusListKey(tenant, status), NOW, id)
  if tags == '{}' then return end
  for tag, value in pairs(cjson.decode(tags)) do redis.call('ZADD', tagListKey(tenant, tag, value), NOW, id) end
end

-- Has the callback of a workflow told, in the step that writes what it is told of. One that is being told, or waits to be
-- told again, keeps its turn.
local function tellSoon(id) redis.call('ZADD', NOTIFY, 'NX', NOW, id) end

-- A due that is lowered to now wakes the supervisors, once a script, and not at all when something was overdue
-- before: then they have been woken already, or they look within a second.
local function lowerDues(ids)
  if #ids == 0 then return end
  local first = redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')[2]
  local scores = {}
  for _, id in ipairs(ids) do
    scores[#scores + 1] = NOW
    scores[#scores + 1] = id
  end
  redis.call('ZADD', DUE, unpack(scores))
  if first == nil or tonumber(first) > NOW then redis.call('PUBLISH', WAKE, '1') end
end

-- A claim is a string: attempt, dispatch, epoch, claims of this attempt, state, holder, deadline of the attempt, seq of
-- its completion. States: open (may be claimed), held, recorded (its result stands), revoked (superseded by a decision).
-- A task has none before it is scheduled: it cannot be claimed then, whatever job there is of it.
local OPEN_CLAIM = '1 1 0 0 open - 0 0'
local function parseClaim(text)
  local attempt, dispatch, epoch, claims, state, holder, deadline, seq =
    string.match(text or OPEN_CLAIM, '^(%d+) (%d+) (%d+) (%d+) (%a+) (%S+) (%d+) (%d+)$')
  return { isScheduled = text ~= false,
    attempt = tonumber(attempt), dispatch = tonumber(dispatch), epoch = tonumber(epoch), claims = tonumber(claims),
    state = state, holder = holder, deadline = tonumber(deadline), seq = tonumber(seq),
  }
end
local function formatClaim(claim)
  return string.format('%d %d %d %d %s %s %d %d', claim.attempt, claim.dispatch, claim.epoch, claim.claims, claim.state,
    claim.holder, claim.deadline, claim.seq)
end
local function claimField(task) return 'claim:' .. task end
local function specField(task) return 'spec:' .. task end
local function waveField(number) return 'wave:' .. number end
local function holdField(hold) return 'hold:' .. hold end
local function sharedField(name) return 'shared:' .. name end
local function answerField(seq) return 'answer:' .. seq end

-- Gives back what was set apart for a call of a model.
local function endHold(id, hold)
  local held = redis.call('HGET', indexKey(id), holdField(hold))
  if not held then return end
  local microUsd, tokens = string.match(held, '^(%d+) (%d+) ')
  redis.call('HINCRBY', indexKey(id), 'heldMicroUsd', -microUsd)
  redis.call('HINCRBY', indexKey(id), 'heldTokens', -tokens)
  redis.call('HDEL', indexKey(id), holdField(hold))
end

-- What scripts must know of a workflow, and of one of its tasks where one is named.
local function readIndex(id, task)
  local tip, endedAt, cancel, token, quiet, wave, tenant, claim = unpack(redis.call('HMGET', indexKey(id),
    'tip', 'endedAt', 'cancel', 'token', 'quiet', 'wave', 'tenant', claimField(task or '')))
  return {
    tip = tonumber(tip), endedAt = endedAt, cancel = cancel, token = token, quiet = tonumber(quiet),
    wave = tonumber(wave), tenant = tenant, claim = parseClaim(claim),
  }
end

-- Why nothing may be written to a workflow any more; nil while it may.
local function closedReason(index)
  if not index.tip then return 'unknown' end
  if index.endedAt then return 'ended' end
  if index.cancel then return 'cancelled' end
end

-- Whether the writer still has the claim: nil and the index, or the reason why not.
local function lostReason(id, task, epoch, holder)
  local index = readIndex(id, task)
  local reason = closedReason(index)
  if reason then return reason end
  local claim = index.claim
  if claim.epoch ~= epoch or claim.holder ~= holder then return 'superseded' end
  if claim.state == 'revoked' or claim.state == 'open' then return 'superseded' end
  return nil, index
end

-- An output: '=' and JSON, '@' and the hash of a blob, '#' and the completion (JSON) whose event holds it, or false.
local function readOutput(id, task)
  local out = redis.call('HGET', outKey(id), task)
  if out then return out end
  local seq = parseClaim(redis.call('HGET', indexKey(id), claimField(task))).seq
  local line = seq > 0 and redis.call('XRANGE', logKey(id), seq .. '-0', seq .. '-0')[1]
  return line and '#' .. line[2][4]
end

-- Schedules, below `{fleet}`.
local SCHEDULES = SHARD .. ':schedules'                                             -- id -> record (JSON)
local function schedulesOf(tenant) return SHARD .. ':schedules:' .. tenant end      -- id -> when it was made
local SLOTS = SHARD .. ':slots'                                                     -- id -> its next slot
local LAST_SLOTS = SHARD .. ':last-slots'                                           -- id -> last slot, workflow of it

-- Items, which wait for a person. The field `items` of the index names the open ones of a workflow, each as
-- 'seq:kind ', where seq is that of the line that opened it; the item's name is '<id>.<seq>'.
local function itemsKey(tenant) return SHARD .. ':items:' .. tenant end -- item -> when it was opened
local ITEM_COUNTS = SHARD .. ':items'                                   -- kind -> how many are open

local function openItems(id, tenant, items)
  local open, callback = unpack(redis.call('HMGET', indexKey(id), 'items', 'callback'))
  open = open or ''
  if callback then tellSoon(id) end
  for _, item in ipairs(items) do
    local seq, kind = item[1], item[2]
    open = open .. seq .. ':' .. kind .. ' '
    redis.call('ZADD', itemsKey(tenant), NOW, id .. '.' .. seq)
    redis.call('HINCRBY', ITEM_COUNTS, kind, 1)
  end
  redis.call('HSET', indexKey(id), 'items', open)
end

-- Closes one item of a workflow and answers whether it was open, or with no seq all of them.
local function closeItems(id, tenant, seq)
  local open, left, wasOpen = redis.call('HGET', indexKey(id), 'items') or '', '', false
  for number, kind in string.gmatch(open, '(%d+):(%S+) ') do
    if seq == nil or number == seq then
      wasOpen = true
      redis.call('ZREM', itemsKey(tenant), id .. '.' .. number)
      if redis.call('HINCRBY', ITEM_COUNTS, kind, -1) <= 0 then redis.call('HDEL', ITEM_COUNTS, kind) end
    else
      left = left .. number .. ':' .. kind .. ' '
    end
  end
  if wasOpen then redis.call('HSET', indexKey(id), 'items', left) end
  return wasOpen
end

-- Agent types that are paused; only for scripts on `{fleet}`.
local PAUSED = SHARD .. ':paused' -- agent type -> 'since in ms', blank, 'id of the API key'; '' once it was resumed
local function pausedSince(agent)
  return tonumber(string.match(redis.call('HGET', PAUSED, agent) or '', '^%d+') or 0)
end

-- Circuits that are open; only for scripts on `{fleet}`.
local CIRCUITS = SHARD .. ':circuits' -- circuit -> 'until when', blank, 'how often it was opened in a row'
local function probesKey(circuit) return SHARD .. ':probes:' .. circuit end -- caller -> when its probe counts no more
-- One that nobody has tried for so long after its time is closed: nobody knows, and nobody asks.
local FORGET_MS = 600000
local function openCircuit(circuit)
  local till, breaks = string.match(redis.call('HGET', CIRCUITS, circuit) or '', '^(%d+) (%d+)$')
  if not till then return nil, 0 end
  if tonumber(till) + FORGET_MS > NOW then return tonumber(till), tonumber(breaks) end
  redis.call('HDEL', CIRCUITS, circuit)
  return nil, 0
end
