-- Publish more text of a step. KEYS: meta, log, text (a hash by step). Returns 1, or 0 if it was not newer.
-- Each step has its own order: generation, then offset. Steps of one run stream in parallel.
local channel, open, middle, rev, generation, offset, length, status, progress, tail, added, limit, step, again,
  retrying =
  ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11]), ARGV[12],
  ARGV[13], ARGV[14], ARGV[15], tonumber(ARGV[16]), ARGV[17], ARGV[18], ARGV[19]
local meta, log, text = KEYS[1], KEYS[2], KEYS[3]
local generation_of, offset_of, from_of, full_of = 'g:' .. step, 'o:' .. step, 'from:' .. step, 'full:' .. step

epoch_of(meta, log, text)
local known = redis.call('HMGET', meta, 'rev', 'floor', 'terminal', 'progress', generation_of, offset_of, full_of,
  'ended', 'running', 'after:' .. step)
local known_rev, floor, ended = tonumber(known[1] or -1), tonumber(known[2] or -1), tonumber(known[8] or -1)
local steps, stored, full = known[9], known[4], known[7]

-- Drop text of an attempt that is over. `rev` is the run's revision at the step's claim. The attempt is over if the run
-- ended at that revision or later, if a state as new does not list the step as running, or if the step was not running
-- at that revision or later before it ran again. The step's other fields are deleted by then.
if rev > 0 and rev <= ended then return 0 end
if rev <= known_rev and (known[3] == '1' or steps and not listed(steps, step)) then return 0 end
if rev <= tonumber(known[10] or -1) then return 0 end

local reset = ''
local known_generation, known_offset = tonumber(known[5] or -1), tonumber(known[6] or 0)
if generation < known_generation then return 0 end
if generation > known_generation then
  -- A workflow's step may have streamed in an earlier attempt, after which its fields were deleted.
  if known_offset > 0 or steps and not known[5] and again == '1' then reset = ',"reset":true' .. retrying end
  if length == 0 and reset == '' then return 0 end
  known_offset = 0
  full = false
  drop_text(meta, text, step)
  redis.call('HDEL', meta, full_of, from_of)
elseif offset < known_offset or length == 0 then
  return 0
end
-- Text was lost before it arrived: the stored text starts after the gap.
if offset > known_offset then
  full = false
  drop_text(meta, text, step)
  redis.call('HDEL', meta, full_of)
  redis.call('HSET', meta, from_of, offset)
end

-- The run was resumed and this is its first event: clear the old state. A reader before the next state is published
-- gets it from the database.
if known[3] == '1' then
  redis.call('HDEL', meta, 'rev', 'status', 'tail', 'terminal')
  stored = nil
end
progress = not_less(stored, progress)
redis.call('HSET', meta, generation_of, generation, offset_of, offset + length, 'progress', progress,
  'floor', math.max(floor, rev), 'text_step', step)
if known[1] and known[3] ~= '1' then redis.call('HSET', meta, 'status', status) end
if not full and length > 0 then
  if tonumber(redis.call('HGET', meta, 'bytes') or 0) + #added <= limit then
    redis.call('HSET', text, step, (redis.call('HGET', text, step) or '') .. added)
    redis.call('HINCRBY', meta, 'bytes', #added)
  else
    redis.call('HSET', meta, full_of, 1)
  end
end
append(meta, log, text, channel, 'delta', '- - -',
  open .. '{"status":' .. status .. ',"progress":' .. progress .. tail .. reset .. '}', middle)
return 1
