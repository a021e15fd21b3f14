-- The common start of every script. Data arrives as JSON in pieces and is never decoded here, so numbers keep their
-- precision and empty lists stay lists. A message on the wire and in the history is one header line and the frame:
--   <epoch> <seq> <kind> <milliseconds> <covering topic or -> <its epoch> <its seq> \n {"type":"event",...}
local FRESH, NOW, HISTORY, TTL = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

-- Return the epoch of these keys; start a new one if they expired.
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
  redis.call('EXPIRE', meta, TTL)
  redis.call('EXPIRE', log, TTL)
  if text then redis.call('EXPIRE', text, TTL) end
  redis.call('PUBLISH', channel, message)
  return epoch, seq
end

-- Return the larger of the stored and the offered value, as written.
local function not_less(stored, offered)
  if stored and tonumber(stored) > tonumber(offered) then return stored end
  return offered
end

-- Delete a step's streamed text; `bytes` counts the stored text of the whole run.
local function drop_text(meta, text, step)
  local length = redis.call('HSTRLEN', text, step)
  if length > 0 then redis.call('HINCRBY', meta, 'bytes', -length) end
  redis.call('HDEL', text, step)
end

-- Return whether a step is in a list of steps separated and surrounded by spaces.
local function listed(steps, step)
  return string.find(steps, ' ' .. step .. ' ', 1, true) ~= nil
end

-- Delete the texts and the `<name>:<step>` meta fields of all steps of a workflow that are not running. Late text is
-- recognized by its revision: see delta.lua.
local function keep_only(meta, text, running)
  for _, step in ipairs(redis.call('HKEYS', text)) do
    if not listed(running, step) then drop_text(meta, text, step) end
  end
  for _, field in ipairs(redis.call('HKEYS', meta)) do
    local step = string.match(field, '^%a+:(.+)$')
    if step and not listed(running, step) then redis.call('HDEL', meta, field) end
  end
end

-- For each step that runs in the newer state but did not in the state at `rev`, record that text from a claim up to that
-- revision belongs to an attempt that is over.
local function came_to_run(meta, before, rev, running)
  for step in string.gmatch(running, '%S+') do
    if not listed(before, step) then redis.call('HSET', meta, 'after:' .. step, rev) end
  end
end

-- Store a topic's state. `running` lists a workflow's running steps; it is empty for an agent's run.
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
