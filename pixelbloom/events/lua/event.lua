-- Publish a domain event once. KEYS: the event's dedup key, then meta and log of its topic if it has one, then meta and
-- log of each feed. Returns 1, or 0 if it was published before.
local seconds, kind, flat, topic, channel, open, middle = ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10], ARGV[11]

if not redis.call('SET', KEYS[1], '1', 'NX', 'EX', seconds) then return 0 end
local cover, at = '- - -', 2
if topic ~= '' then
  local epoch, seq = append(KEYS[2], KEYS[3], nil, channel, kind, cover, open, middle)
  cover, at = topic .. ' ' .. epoch .. ' ' .. seq, 4
end
for n = 12, #ARGV do
  append(KEYS[at], KEYS[at + 1], nil, ARGV[n], kind, cover, flat, '')
  at = at + 2
end
return 1
