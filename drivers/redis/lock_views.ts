/** The scripts that look at locks, or change no more than a value. */
import { HOLD } from "./lock_state.ts";
import { COMMON, Script } from "./script.ts";

/** Whether an attempt holds. Arguments: session, attempt, mode. Answers 1, or 0 if it was gone, or 2 if broken. */
export const CHECK: Script = new Script(
  COMMON,
  HOLD,
  `
local attempt = ARGV[2]
if not alive(sid) then return 'lost' end
if ARGV[3] == 'r' then
  if call('HEXISTS', R, attempt) == 1 then return 1 end
else
  load(call('GET', X))
  if holder() == attempt then return 1 end
end
return call('HEXISTS', tag .. ':b', attempt) * 2
`,
);

/** Replaces the value of a hold. Arguments: session, attempt, mode, value. Answers like `CHECK`. */
export const UPDATE: Script = new Script(
  COMMON,
  HOLD,
  `
local attempt, value = ARGV[2], ARGV[4]
if not alive(sid) then return 'lost' end
if ARGV[3] == 'r' then
  local head = match(call('HGET', R, attempt) or '', '^%S+ %S+ %S+ %S+ ')
  if head then
    call('HSET', R, attempt, head .. value)
    return 1
  end
else
  load(call('GET', X))
  if holder() == attempt then
    held = match(held, '^%S+ %S+ %S+ %S+ ') .. value
    store()
    return 1
  end
end
return call('HEXISTS', tag .. ':b', attempt) * 2
`,
);

/**
 * The exclusive holder, for one who listens for its changes. Arguments: session. Answers nothing, or member, attempt,
 * token, since, value and how many milliseconds its session has left.
 */
export const WATCH: Script = new Script(
  COMMON,
  HOLD,
  `
load(call('GET', X))
if flag == 'w' then
  call('PEXPIRE', X, DAY)
else
  call('SET', X, last .. ' w' .. (held == '' and '' or ' ' .. held), 'PX', DAY)
end
if held == '' then return {} end
local sid, since, _, value = details()
local member = call('GET', root .. ':s:' .. sid)
if not member then return {} end
return {member, holder(), last, since, value, remaining(sid)}
`,
);

/** Who holds and who waits, in order: member, attempt, mode, token or empty, since, value; again and again. */
export const ENTRIES: Script = new Script(
  COMMON,
  HOLD,
  `
local found = {}
local function add(sid, ...)
  local member = call('GET', root .. ':s:' .. sid)
  if not member then return end
  found[#found + 1] = member
  for _, part in ipairs({...}) do found[#found + 1] = part end
end
load(call('GET', X))
if held ~= '' then
  local sid, since, _, value = details()
  add(sid, holder(), 'x', last, since, value)
end
local shared = call('HGETALL', R)
for i = 1, #shared, 2 do
  local sid, token, since, value = match(shared[i + 1], '^(%S+) (%S+) (%S+) %S+ (.*)$')
  add(sid, shared[i], 'r', token, since, value)
end
for _, entry in ipairs(call('ZRANGE', Q, 0, -1)) do
  local mode, sid, attempt = match(entry, '^(%a) (%S+) (%S+)$')
  add(sid, attempt, mode, '', '', call('HGET', V, attempt) or '')
end
return found
`,
);
