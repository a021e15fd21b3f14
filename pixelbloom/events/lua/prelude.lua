-- What every script begins with. Data arrives as JSON in pieces and is never decoded here, so no number loses precision
-- and no empty list becomes an object. A message on the wire and in the history is one header line and the frame:
--   <epoch> <seq> <kind> <milliseconds> <covering topic or -> <its epoch> <its seq> \n {"type":"event",...}
local FRESH, NOW, HISTORY, KEEP = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

-- The epoch of these keys; begun anew where they are gone.
local function epoch_of(meta, log, text)
  local epoch = redis.call('HGET', meta, 'epoch')
  if epoch then return epoch end
  redis.call('DEL', log)
  if text then redis.call('DEL', text) end
  redis.call('HSET', meta, 'epoch', FRESH, 'seq', 0, 'bytes', 0)
  return FRESH
end

local function append(meta, log, text, channel, kind, cover, before, after)
  local epoch = epoch_of(meta, log, text)
  local seq = redis.call('HINCRBY', meta, 'seq', 1)
  local frame = before
  if after ~= '' then frame = before .. after .. seq .. '}' end
  local message = epoch .. ' ' .. seq .. ' ' .. kind .. ' ' .. NOW .. ' ' .. cover .. '\n' .. frame
  redis.call('XADD', log, 'MAXLEN', '~', HISTORY, seq .. '-0', 'm', message)
  redis.call('EXPIRE', meta, KEEP)
  redis.call('EXPIRE', log, KEEP)
  if text then redis.call('EXPIRE', text, KEEP) end
  redis.call('PUBLISH', channel, message)
  return epoch, seq
end

-- The larger of what is stored and what is offered, as it was written.
local function not_less(stored, offered)
  if stored and tonumber(stored) > tonumber(offered) then return stored end
  return offered
end

-- Forget the text that a step has streamed; `bytes` counts what is kept of the whole run.
local function drop_text(meta, text, step)
  local length = redis.call('HSTRLEN', text, step)
  if length > 0 then redis.call('HINCRBY', meta, 'bytes', -length) end
  redis.call('HDEL', text, step)
end

-- Whether a step is in a list of steps, as it stands between spaces.
local function listed(steps, step)
  return string.find(steps, ' ' .. step .. ' ', 1, true) ~= nil
end

-- Forget all steps of a workflow but those that run: their texts, and their fields `<name>:<step>` in meta. What comes
-- late of them is known by its revision: see delta.lua.
local function keep_only(meta, text, running)
  for _, step in ipairs(redis.call('HKEYS', text)) do
    if not listed(running, step) then drop_text(meta, text, step) end
  end
  for _, field in ipairs(redis.call('HKEYS', meta)) do
    local step = string.match(field, '^%a+:(.+)$')
    if step and not listed(running, step) then redis.call('HDEL', meta, field) end
  end
end

-- Note of the steps that a newer state finds running, and the state at `rev` did not, that text of theirs from a claim
-- up to that revision is of an attempt that is over.
local function came_to_run(meta, before, rev, running)
  for step in string.gmatch(running, '%S+') do
    if not listed(before, step) then redis.call('HSET', meta, 'after:' .. step, rev) end
  end
end

-- Make a state the topic's. `running` lists a workflow's steps that run now; it is empty for an agent's run.
local function put_state(meta, text, rev, status, progress, tail, terminal, owner, running)
  redis.call('HSET', meta, 'rev', rev, 'status', status, 'progress', progress, 'tail', tail, 'terminal', terminal,
    'owner', owner, 'ms', NOW)
  if terminal == '1' then
    redis.call('HSET', meta, 'ended', rev, 'bytes', 0)
    redis.call('DEL', text)
  end
  if running ~= '' then
    redis.call('HSET', meta, 'running', running)
    keep_only(meta, text, running)
  end
end
