/** The scripts that take locks, give them back, and take them away. */
import { DOUBT, HOLD, LIVES, QUEUE } from "./lock_state.ts";
import { COMMON, ENTER, ONCE, Script } from "./script.ts";

/** A lock that nobody holds, waits for or watches: no more calls than must be, and no functions made for nothing. */
const UNCONTENDED = `
local attempt, mode, value = ARGV[2], ARGV[3], ARGV[6]
if mode == 'x' and not ARGV[7] then
  local found = redis.call('MGET', ARGV[1], KEYS[1] .. ':x', KEYS[1] .. ':w:' .. attempt)
  if found[3] then return 'withdrawn' end
  local last = found[1] and found[2] and string.match(found[2], '^(%d+) %-$')
  if last then
    local time = redis.call('TIME')
    local token = string.format('%.0f', math.max(time[1] * 1000000 + time[2], last + 1))
    local since = time[1] .. string.format('%03d', time[2] / 1000)
    local sid = string.match(ARGV[1], '[^:]*$')
    redis.call('SET', KEYS[1] .. ':x',
      token .. ' - ' .. attempt .. ' ' .. sid .. ' ' .. since .. ' 0 ' .. value, 'PX', '86400000')
    return 'granted ' .. token
  end
end
`;

/**
 * First try, look again, claim and re-entry in one, and idempotent. Arguments: session, attempt, mode, `wait` or not,
 * arrival or empty, value. Answers `granted <token>`, `busy`, or `wait <arrival> <ms>`: how long the holder lives at
 * least, for the first in the queue, and the one before for the others; or `withdrawn`, to nobody who still listens.
 */
export const ACQUIRE: Script = Script.entering(
  UNCONTENDED,
  ENTER,
  COMMON,
  HOLD,
  QUEUE,
  LIVES,
  DOUBT,
  `
local wait, arrival = ARGV[4] == 'wait', ARGV[5]
if call('EXISTS', tag .. ':w:' .. attempt) == 1 then return 'withdrawn' end
load(call('GET', X))

if mode == 'x' and held ~= '' and holder() == attempt then
  local s, since, _, v = details()
  held = attempt .. ' ' .. s .. ' ' .. since .. ' 0 ' .. v
  -- Also where nothing changes: who waits for replicas waits for what it wrote last.
  call('SET', X, last .. ' ' .. flag .. ' ' .. held, 'PX', DAY)
  return 'granted ' .. last
end
local record = mode == 'r' and call('HGET', R, attempt)
if record then
  local s, token, since, claim, v = match(record, '^(%S+) (%S+) (%S+) (%S+) (.*)$')
  call('HSET', R, attempt, s .. ' ' .. token .. ' ' .. since .. ' 0 ' .. v)
  if claim ~= '0' then advance() end
  return 'granted ' .. token
end

local death = prune_exclusive()
local waiting = call('ZCARD', Q)
if waiting > 0 and not wait then
  advance()
  waiting = call('ZCARD', Q)
end
if waiting == 0 then
  if mode == 'x' and held == '' then death = prune_shared(not wait) end
  if not blocked(mode) then return grant(mode, sid, attempt, 0, value) end
end
if not wait or arrival ~= '' then doubt() end
if not wait then return 'busy' end

local entry = mode .. ' ' .. sid .. ' ' .. attempt
local score = call('ZSCORE', Q, entry)
if not score then
  score = arrival
  if score == '' then
    local time = call('TIME')
    local newest = call('ZREVRANGE', Q, 0, 0, 'WITHSCORES')[2] or 0
    score = exact(math.max(time[1] * 1000000 + time[2], newest + 1))
  end
  call('ZADD', Q, score, entry)
  if flag == '-' then
    flag = 'q'
    store()
  end
  if value ~= '' then call('HSET', V, attempt, value) end
end
call('PEXPIRE', Q, DAY)
if value ~= '' then call('PEXPIRE', V, DAY) end

local first = call('ZRANK', Q, entry) == 0
if first and mode == 'x' and held == '' then death = prune_shared() end
local granted = advance(attempt)
if granted then return granted end

-- Who is not the first watches the one before, whose session may be the shorter one.
local rank = call('ZRANK', Q, entry)
while rank > 0 do
  local before = call('ZRANGE', Q, rank - 1, rank - 1)[1]
  local s, a = match(before, '^%a (%S+) (%S+)$')
  death = remaining(s)
  if death > 0 then break end
  call('ZREM', Q, before)
  call('HDEL', V, a)
  rank, death = rank - 1, 0
end
return 'wait ' .. exact(score) .. ' ' .. exact(death or 0)
`,
);

/**
 * Gives a hold back or leaves the queue, whichever it is, and hands the lock on. Arguments: session, attempt, mode, and
 * for an attempt that is given up for how many ms a request of it that comes late is to find nothing. Answers 1, or 0 if
 * there was neither, or 2 if the hold was broken.
 *
 * A script that has written something may write more when the server has no memory left: so one begins that needs none.
 */
export const RELEASE: Script = new Script(
  `
local attempt, mode = ARGV[2], ARGV[3]
redis.call('DEL', KEYS[1] .. ':w:')
if ARGV[4] then redis.call('SET', KEYS[1] .. ':w:' .. attempt, 1, 'PX', ARGV[4]) end
local now = redis.call('GET', KEYS[1] .. ':x')
if mode == 'x' and now then
  local free, by = string.match(now, '^(%d+ %-) (%S+)')
  if by == attempt then
    redis.call('SET', KEYS[1] .. ':x', free, 'PX', '86400000')
    return 1
  end
end
`,
  COMMON,
  HOLD,
  QUEUE,
  `
load(now)
if mode == 'x' and held ~= '' and holder() == attempt then
  held = ''
  store()
  advance()
  return 1
end
if mode == 'r' and call('HDEL', R, attempt) == 1 then
  advance()
  return 1
end
local entry = mode .. ' ' .. sid .. ' ' .. attempt
local first = call('ZRANK', Q, entry) == 0
if call('ZREM', Q, entry) == 1 then
  call('HDEL', V, attempt)
  if first then advance(nil, true) end
  return 1
end
return call('HEXISTS', tag .. ':b', attempt) * 2
`,
);

/** Takes the lock away from all who hold it. Arguments: session, id of the operation. Answers 1 if somebody held it. */
export const BREAK: Script = new Script(
  COMMON,
  ONCE,
  HOLD,
  QUEUE,
  LIVES,
  `
local done = once(ARGV[2])
if done then return tonumber(done) end
local broken = 0
local function take(mode, attempt, sid, claim)
  if lifetime(sid, claim) <= 0 then return end
  broken = 1
  if claim == '0' then call('HSET', tag .. ':b', attempt, 1) end
  tell(sid, 'broken 0 ' .. tag .. ' ' .. mode .. ' ' .. attempt)
end
load(call('GET', X))
if held ~= '' then
  local sid, _, claim = details()
  take('x', holder(), sid, claim)
  held = ''
  store()
end
local all = call('HGETALL', R)
for i = 1, #all, 2 do
  local sid, claim = match(all[i + 1], '^(%S+) %S+ %S+ (%S+)')
  take('r', all[i], sid, claim)
end
call('DEL', R)
call('PEXPIRE', tag .. ':b', DAY)
advance()
return answer(ARGV[2], broken)
`,
);
