-- Make the database's state the topic's where Redis has none; tells nobody. KEYS: meta, log, text.
local rev, status, terminal, progress, tail, owner =
  tonumber(ARGV[5]), ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10]
epoch_of(KEYS[1], KEYS[2], KEYS[3])
local known = redis.call('HMGET', KEYS[1], 'rev', 'progress')
if known[1] then return 0 end
redis.call('HSET', KEYS[1], 'rev', rev, 'status', status, 'progress', not_less(known[2], progress), 'tail', tail,
  'terminal', terminal, 'owner', owner, 'ms', NOW)
redis.call('EXPIRE', KEYS[1], KEEP)
redis.call('EXPIRE', KEYS[2], KEEP)
redis.call('EXPIRE', KEYS[3], KEEP)
return 1
