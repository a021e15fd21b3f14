-- Read a topic that stores no state, for a client that has everything up to `since` of `epoch`. KEYS: meta, log, then
-- dedup keys. Returns {epoch, seq, 1 if the history reaches back to `since`, {messages}, {1 for each existing key}}.
local since, epoch = ARGV[5], ARGV[6]
local present = epoch_of(KEYS[1], KEYS[2], nil)
local seq = tonumber(redis.call('HGET', KEYS[1], 'seq'))
redis.call('EXPIRE', KEYS[1], TTL)
redis.call('EXPIRE', KEYS[2], TTL)

local messages, recovered = {}, 0
if since ~= '' and (epoch == '' or epoch == present) and tonumber(since) <= seq then
  if tonumber(since) < seq then
    for _, entry in ipairs(redis.call('XRANGE', KEYS[2], (tonumber(since) + 1) .. '-0', '+')) do
      messages[#messages + 1] = entry[2][2]
    end
  end
  if #messages == seq - tonumber(since) then recovered = 1 else messages = {} end
end

local published = {}
for n = 3, #KEYS do published[#published + 1] = redis.call('EXISTS', KEYS[n]) end
return {present, seq, recovered, messages, published}
