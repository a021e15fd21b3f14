-- Tell some more text of a run. KEYS: meta, log, text. Answers 1, or 0 where it was not newer.
local channel, open, middle, rev, generation, offset, length, status, progress, tail, added, limit =
  ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11]), ARGV[12],
  ARGV[13], ARGV[14], ARGV[15], tonumber(ARGV[16])
local meta, log, text = KEYS[1], KEYS[2], KEYS[3]

epoch_of(meta, log, text)
local known = redis.call('HMGET', meta, 'rev', 'floor', 'terminal', 'progress', 'generation', 'offset', 'full')
local known_rev, floor = tonumber(known[1] or -1), tonumber(known[2] or -1)
if known[3] == '1' and rev <= known_rev then return 0 end
if rev < floor then return 0 end

local reset = ''
local known_generation, known_offset = tonumber(known[5] or -1), tonumber(known[6] or 0)
if generation < known_generation then return 0 end
if generation > known_generation then
  if known_offset > 0 then reset = ',"reset":true' end
  if length == 0 and reset == '' then return 0 end
  known_offset = 0
  known[7] = false
  redis.call('DEL', text)
  redis.call('HDEL', meta, 'full')
  redis.call('HSET', meta, 'from', 0)
elseif offset < known_offset or length == 0 then
  return 0
end
-- Text was lost on the way here: what is kept begins after the hole.
if offset > known_offset then
  redis.call('DEL', text)
  redis.call('HSET', meta, 'from', offset)
end

if known[3] ~= '1' then progress = not_less(known[4], progress) end
redis.call('HSET', meta, 'generation', generation, 'offset', offset + length, 'progress', progress,
  'floor', math.max(floor, rev))
if known[1] and known[3] ~= '1' then redis.call('HSET', meta, 'status', status) end
if not known[7] then
  if redis.call('STRLEN', text) + #added <= limit then
    redis.call('APPEND', text, added)
  else
    redis.call('HSET', meta, 'full', 1)
  end
end
append(meta, log, text, channel, 'delta', '- - -',
  open .. '{"status":' .. status .. ',"progress":' .. progress .. tail .. reset .. '}', middle)
return 1
