-- Store the database's state if the topic has none; publishes nothing. KEYS: meta, log, text. Returns 1 if stored, else 0.
local rev, status, terminal, progress, tail, owner, running =
  tonumber(ARGV[5]), ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10], ARGV[11]
local meta, log, text = KEYS[1], KEYS[2], KEYS[3]
epoch_of(meta, log, text)
local known = redis.call('HMGET', meta, 'rev', 'progress', 'floor')
-- As in state.lua: text of a later revision was published since the database was read.
if known[1] or rev < tonumber(known[3] or -1) then return 0 end
put_state(meta, text, rev, status, not_less(known[2], progress), tail, terminal, owner, running)
redis.call('EXPIRE', meta, TTL)
redis.call('EXPIRE', log, TTL)
redis.call('EXPIRE', text, TTL)
return 1
