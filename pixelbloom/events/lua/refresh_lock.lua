-- Acquire the right to recompute figures, among all processes that follow them. KEYS: meta, refresh. Returns 1 if acquired,
-- 0 if the caller should ask again soon, -1 if they were computed from the caller's position or a later one.
local position, at, pause = ARGV[5], tonumber(ARGV[6]), ARGV[7]
local known = redis.call('HMGET', KEYS[1], 'position', 'at')
if known[1] == position and tonumber(known[2]) >= at then return -1 end
if redis.call('SET', KEYS[2], '1', 'NX', 'PX', pause) then return 1 end
return 0
