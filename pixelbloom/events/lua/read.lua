-- Read a topic for a client that has everything up to `since` of `epoch`. KEYS: meta, log, text.
-- Returns {"missing"} if there is no state, or {"recovered", epoch, seq, owner, {messages}}, or
-- {"snapshot", epoch, seq, owner, data, terminal, step, from, full, running, {step, text, ...}}; `step` streamed last,
-- and `running` is empty for an agent's run.
local since, epoch = ARGV[5], ARGV[6]
local known = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'rev', 'owner', 'status', 'progress', 'tail', 'terminal',
  'text_step', 'running')
if not known[3] then return {'missing'} end
local seq = tonumber(known[2])

if since ~= '' and (epoch == '' or epoch == known[1]) and tonumber(since) <= seq then
  local messages = {}
  if tonumber(since) < seq then
    for _, entry in ipairs(redis.call('XRANGE', KEYS[2], (tonumber(since) + 1) .. '-0', '+')) do
      messages[#messages + 1] = entry[2][2]
    end
  end
  if #messages == seq - tonumber(since) then return {'recovered', known[1], seq, known[4], messages} end
end

local data = '{"status":' .. known[5] .. ',"progress":' .. known[6] .. known[7]
local step = known[9] or ''
local whereabouts = redis.call('HMGET', KEYS[1], 'from:' .. step, 'full:' .. step)
return {'snapshot', known[1], seq, known[4], data, known[8], step, whereabouts[1] or '0', whereabouts[2] or '',
  known[10] or '', redis.call('HGETALL', KEYS[3])}
