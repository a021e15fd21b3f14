-- Read a topic whose state is kept elsewhere, for one who has everything up to `since` of `epoch`. KEYS: meta, log, then
-- marks of events. Answers {epoch, seq, 1 where the history reaches back to `since`, {messages}, {1 for each mark}}.
local since, epoch = ARGV[5], ARGV[6]
local present = epoch_of(KEYS[1], KEYS[2], nil)
local seq = tonumber(redis.call('HGET', KEYS[1], 'seq'))
redis.call('EXPIRE', KEYS[1], KEEP)
redis.call('EXPIRE', KEYS[2], KEEP)

local messages, recovered = {}, 0
if since ~= '' and (epoch == '' or epoch == present) and tonumber(since) <= seq then
  if tonumber(since) < seq then
    for _, entry in ipairs(redis.call('XRANGE', KEYS[2], (tonumber(since) + 1) .. '-0', '+')) do
      messages[#messages + 1] = entry[2][2]
    end
  end
  if #messages == seq - tonumber(since) then recovered = 1 else messages = {} end
end

local told = {}
for n = 3, #KEYS do told[#told + 1] = redis.call('EXISTS', KEYS[n]) end
return {present, seq, recovered, messages, told}
