-- Counts the workflows of a shard that were admitted and have not ended. No ARGV.

return redis.call('SCARD', ACTIVE)
