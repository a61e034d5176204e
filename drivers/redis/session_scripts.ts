/** The scripts of sessions. Their key is the session's own. */
import { Script } from "./script.ts";

/** Begins a session. Arguments: member id, ttl. */
export const OPEN: Script = new Script(`
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`);

/** Ends a session: whatever it still has is free from now on. */
export const END: Script = new Script(`return redis.call('DEL', KEYS[1])`);

/**
 * Renews a session and looks at all that it has. Arguments: ttl, or 0 to look only; 1 to give the holds another day;
 * the number of holds; for each hold tag, mode and attempt; for each membership tag, member and presence. Answers
 * those gone: place in the list from 1, and 1 if it was broken, again and again.
 */
export const BEAT: Script = new Script(`
local ttl = tonumber(ARGV[1])
if ttl > 0 and redis.call('PEXPIRE', KEYS[1], ttl) == 0 then return 'lost' end
if ttl == 0 and redis.call('EXISTS', KEYS[1]) == 0 then return 'lost' end
local gone = {}
local place = 0
local function report(broken)
  gone[#gone + 1] = place
  gone[#gone + 1] = broken
end
local last = 3 + 3 * ARGV[3]
for i = 4, last, 3 do
  local tag, mode, attempt = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local key = tag .. ':' .. mode
  place = place + 1
  local held
  if mode == 'r' then
    held = redis.call('HEXISTS', key, attempt) == 1
  else
    local x = redis.call('GET', key)
    held = x and string.match(x, '^%d+ . (%S+)') == attempt
  end
  if not held then report(redis.call('HEXISTS', tag .. ':b', attempt))
  elseif ARGV[2] == '1' then redis.call('PEXPIRE', key, 86400000) end
end
for i = last + 1, #ARGV, 3 do
  place = place + 1
  local record = redis.call('HGET', ARGV[i] .. ':m', ARGV[i + 1])
  if not record or string.match(record, '^%S+ (%S+)') ~= ARGV[i + 2] then report(0) end
end
return gone
`);
