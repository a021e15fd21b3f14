-- Read a user's feed. KEYS: meta, log. Returns {epoch, seq, messages}: no messages without `since`, else those after it,
-- or all of them if the epoch differs.
local since, epoch = ARGV[5], ARGV[6]
local present = epoch_of(KEYS[1], KEYS[2], nil)
local seq = tonumber(redis.call('HGET', KEYS[1], 'seq'))
redis.call('EXPIRE', KEYS[1], TTL)
redis.call('EXPIRE', KEYS[2], TTL)
local messages = {}
if since ~= '' then
  local from = tonumber(since) + 1
  if epoch ~= present then from = 1 end
  for _, entry in ipairs(redis.call('XRANGE', KEYS[2], from .. '-0', '+')) do messages[#messages + 1] = entry[2][2] end
end
return {present, seq, messages}
