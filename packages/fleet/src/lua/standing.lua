-- Reads what holds for the workers of agent types until somebody says otherwise; KEYS[1] is `{fleet}`.
-- ARGV per item: agent type. Answer per item: since when it is paused in ms, 0 for not at all.

local answers = {}
while position < #ARGV do answers[#answers + 1] = pausedSince(nextArg()) end
return answers
