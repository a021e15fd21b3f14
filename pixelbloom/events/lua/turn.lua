-- Whose turn it is to compute figures anew, among all processes that follow them. KEYS: meta, turn. Answers 1 where it is
-- the caller's, 0 where it shall ask again in a while, -1 where they were computed from what it knows, or later.
local position, at, pause = ARGV[5], tonumber(ARGV[6]), ARGV[7]
local known = redis.call('HMGET', KEYS[1], 'position', 'at')
if known[1] == position and tonumber(known[2]) >= at then return -1 end
if redis.call('SET', KEYS[2], '1', 'NX', 'PX', pause) then return 1 end
return 0
