-- Publish a run's state. KEYS: meta, log, text, and the user feed's meta and log if the run has a user.
-- Returns 1 if it was new to the topic or to the user's feed, 0 if it was not newer.
local channel, open, middle, rev, status, terminal, progress, tail, owner, running, feed, flat_open, flat_tail, topic,
  kind = ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8]), ARGV[9], ARGV[10], ARGV[11], ARGV[12], ARGV[13], ARGV[14],
  ARGV[15], ARGV[16], ARGV[17], ARGV[18], ARGV[19]
local meta, log, text = KEYS[1], KEYS[2], KEYS[3]

local epoch = epoch_of(meta, log, text)
local known = redis.call('HMGET', meta, 'rev', 'floor', 'feed_rev', 'progress', 'terminal', 'seq', 'running')
local known_rev, floor, feed_rev = tonumber(known[1] or -1), tonumber(known[2] or -1), tonumber(known[3] or -1)
local seq = known[6]
local news = 0

if known[5] ~= '1' or terminal == '1' then progress = not_less(known[4], progress) end
local data = '{"status":' .. status .. ',"progress":' .. progress

if rev > known_rev and rev >= floor then
  if known[7] then came_to_run(meta, known[7], known_rev, running) end
  put_state(meta, text, rev, status, progress, tail, terminal, owner, running)
  epoch, seq = append(meta, log, text, channel, kind, '- - -', open .. data .. tail, middle)
  news = 1
end
if feed ~= '' and rev > feed_rev then
  redis.call('HSET', meta, 'feed_rev', rev)
  redis.call('EXPIRE', meta, TTL)
  append(KEYS[4], KEYS[5], nil, feed, kind, topic .. ' ' .. epoch .. ' ' .. seq, flat_open .. data .. flat_tail, '')
  news = 1
end
return news
