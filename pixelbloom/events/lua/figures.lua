-- Publish figures computed from the data at `at` of a position, if they differ from the last ones.
-- KEYS: meta, log. Returns 1 if they differ, else 0.
local channel, before, middle, digest, position, at = ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10]
epoch_of(KEYS[1], KEYS[2], nil)
local known = redis.call('HGET', KEYS[1], 'digest')
redis.call('HSET', KEYS[1], 'digest', digest, 'position', position, 'at', at)
redis.call('EXPIRE', KEYS[1], TTL)
if known == digest then return 0 end
append(KEYS[1], KEYS[2], nil, channel, 'figures', '- - -', before, middle)
return 1
