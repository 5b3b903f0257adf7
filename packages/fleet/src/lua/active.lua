-- Counts the workflows of a shard that were admitted and have not ended, those that wait for a person left out. No ARGV.

return redis.call('SCARD', ACTIVE)
