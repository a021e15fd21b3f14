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

-- Forget what a step has streamed; `bytes` counts what is kept of the whole run.
local function drop_text(meta, text, step)
  local length = redis.call('HSTRLEN', text, step)
  if length > 0 then
    redis.call('HDEL', text, step)
    redis.call('HINCRBY', meta, 'bytes', -length)
  end
end
