-- Reads the circuits that are open; KEYS[1] is `{fleet}`. No ARGV.
-- Answer, for one after the other: circuit, ms until it may be tried (0: probes are let through), how often it was opened.

local answer = {}
for _, circuit in ipairs(redis.call('HKEYS', CIRCUITS)) do
  local till, breaks = openCircuit(circuit)
  if till then
    answer[#answer + 1] = circuit
    answer[#answer + 1] = math.max(0, till - NOW)
    answer[#answer + 1] = breaks
  end
end
return answer
