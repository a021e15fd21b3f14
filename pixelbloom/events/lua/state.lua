-- Tell a run's state. KEYS: meta, log, text, and the user feed's meta and log where the run has a user.
-- Answers 1 where it was news to the topic or to the user's feed, 0 where it was not newer.
local channel, open, middle, rev, status, terminal, progress, tail, owner, feed, flat_open, flat_tail, topic, kind =
  ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8]), ARGV[9], ARGV[10], ARGV[11], ARGV[12], ARGV[13], ARGV[14], ARGV[15],
  ARGV[16], ARGV[17], ARGV[18]
-- Of a workflow: its steps that run now, between spaces; what the others have streamed is forgotten.
local running = ARGV[19]
local meta, log, text = KEYS[1], KEYS[2], KEYS[3]

local epoch = epoch_of(meta, log, text)
local known = redis.call('HMGET', meta, 'rev', 'floor', 'feed_rev', 'progress', 'terminal', 'seq')
local known_rev, floor, feed_rev = tonumber(known[1] or -1), tonumber(known[2] or -1), tonumber(known[3] or -1)
local seq = known[6]
local news = 0

if known[5] ~= '1' or terminal == '1' then progress = not_less(known[4], progress) end
local data = '{"status":' .. status .. ',"progress":' .. progress

if rev > known_rev and rev >= floor then
  redis.call('HSET', meta, 'rev', rev, 'status', status, 'progress', progress, 'tail', tail, 'terminal', terminal,
    'owner', owner, 'ms', NOW)
  if terminal == '1' then
    redis.call('DEL', text)
    redis.call('HSET', meta, 'bytes', 0)
  elseif running ~= '' then
    redis.call('HSET', meta, 'many', 1)
    for _, step in ipairs(redis.call('HKEYS', text)) do
      if not string.find(running, ' ' .. step .. ' ', 1, true) then drop_text(meta, text, step) end
    end
  end
  epoch, seq = append(meta, log, text, channel, kind, '- - -', open .. data .. tail, middle)
  news = 1
end
if feed ~= '' and rev > feed_rev then
  redis.call('HSET', meta, 'feed_rev', rev)
  redis.call('EXPIRE', meta, KEEP)
  append(KEYS[4], KEYS[5], nil, feed, kind, topic .. ' ' .. epoch .. ' ' .. seq, flat_open .. data .. flat_tail, '')
  news = 1
end
return news
