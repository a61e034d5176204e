/**
 * The scripts of groups. The keys of a group, both after its tag:
 *
 * - `:m` hash, member to `sid presence incarnation`; the field without a name says by whom the group was created
 * - `:d` hash, member to `presence joined updated data`
 *
 * A member lives as long as its session; who reads drops the dead. Answers: `ok`, `lost`, `absent` (no such group),
 * `exists`, `occupied`, `taken`, `stranger` (no such member).
 */
import { COMMON, ENTER, ONCE, Script } from "./script.ts";

const GROUP = `
local M, D = tag .. ':m', tag .. ':d'
local function created() return call('HGET', M, '') end
local function changed() call('PUBLISH', tag, '') end
local function drop(member)
  call('HDEL', M, member)
  call('HDEL', D, member)
end

-- The session, presence and incarnation of a live member.
local function find(member)
  local record = call('HGET', M, member)
  if not record then return end
  local sid, presence, incarnation = match(record, '^(%S+) (%S+) (%S+)$')
  if alive(sid) then return sid, presence, incarnation end
  drop(member)
  changed()
end

-- Drops the dead; says how many members live, how many died, and how long the others live at least.
local function prune()
  local live, dead, first = {}, 0, -1
  local all = call('HGETALL', M)
  for i = 1, #all, 2 do
    if all[i] ~= '' then
      local ms = remaining(match(all[i + 1], '^%S+'))
      if ms > 0 then
        live[#live + 1] = all[i]
        if first < 0 or ms < first then first = ms end
      else
        drop(all[i])
        dead = dead + 1
      end
    end
  end
  -- The others who wait for this death would find nothing dead any more.
  if dead > 0 then changed() end
  return live, dead, first
end
`;

/** Arguments: session, id of the operation, key of the set of groups or empty, name of the group. */
export const CREATE: Script = new Script(
  COMMON,
  GROUP,
  `
local by = created()
if by then return by == ARGV[2] and 'ok' or 'exists' end
call('HSET', M, '', ARGV[2])
if ARGV[3] ~= '' then call('SADD', ARGV[3], ARGV[4]) end
return 'ok'
`,
);

/** Arguments: session, id of the operation, key of the set of groups or empty, name of the group. */
export const DELETE: Script = new Script(
  COMMON,
  ONCE,
  GROUP,
  `
local done = once(ARGV[2])
if done then return done end
if not created() then return 'absent' end
if #prune() > 0 then return 'occupied' end
call('DEL', M, D)
if ARGV[3] ~= '' then call('SREM', ARGV[3], ARGV[4]) end
changed()
return answer(ARGV[2], 'ok')
`,
);

/** Arguments: session, member, presence, incarnation, 1 to replace, data. */
export const JOIN: Script = Script.entering(
  ENTER,
  COMMON,
  GROUP,
  `
local member, presence, incarnation = ARGV[2], ARGV[3], ARGV[4]
if not created() then return 'absent' end
local s, p, i = find(member)
if p == presence then return 'ok' end
if s then
  if i ~= incarnation and ARGV[5] ~= '1' then return 'taken' end
  tell(s, 'gone 0 ' .. tag .. ' replaced ' .. p)
end
local now = exact(millis())
call('HSET', M, member, sid .. ' ' .. presence .. ' ' .. incarnation)
call('HSET', D, member, presence .. ' ' .. now .. ' ' .. now .. ' ' .. ARGV[6])
changed()
return 'ok'
`,
);

/** Arguments: session, member, presence or empty, data. */
export const AMEND: Script = new Script(
  COMMON,
  GROUP,
  `
if not created() then return 'absent' end
local s, presence = find(ARGV[2])
if not s or (ARGV[3] ~= '' and ARGV[3] ~= presence) then return 'stranger' end
local joined, updated = match(call('HGET', D, ARGV[2]), '^%S+ (%S+) (%S+)')
local now = exact(math.max(millis(), tonumber(updated)))
call('HSET', D, ARGV[2], presence .. ' ' .. joined .. ' ' .. now .. ' ' .. ARGV[4])
changed()
return 'ok'
`,
);

/** Arguments: session, id of the operation, member, presence or empty. */
export const REMOVE: Script = new Script(
  COMMON,
  ONCE,
  GROUP,
  `
local done = once(ARGV[2])
if done then return done end
if not created() then return 'absent' end
local s, presence = find(ARGV[3])
if not s or (ARGV[4] ~= '' and ARGV[4] ~= presence) then return 'stranger' end
drop(ARGV[3])
if s ~= sid then tell(s, 'gone 0 ' .. tag .. ' removed ' .. presence) end
changed()
return answer(ARGV[2], 'ok')
`,
);

/**
 * The live members. Arguments: session, bytes of data to answer at most, 1 to answer no members unless some have died.
 * Answers who created the group, how long all of them live at least, how many had died, how many follow in full; then
 * these, each with its record; then the names of the others.
 */
export const MEMBERS: Script = new Script(
  COMMON,
  GROUP,
  `
local by = created()
if not by then return 'absent' end
local live, dead, first = prune()
local found = {by, first, dead, 0}
if ARGV[3] == '1' and dead == 0 then return found end
local room, full = tonumber(ARGV[2]), 0
local rest = {}
for _, member in ipairs(live) do
  if room > 0 then
    local record = call('HGET', D, member)
    room = room - #record
    full = full + 1
    found[#found + 1] = member
    found[#found + 1] = record
  else
    rest[#rest + 1] = member
  end
end
found[4] = full
for _, member in ipairs(rest) do found[#found + 1] = member end
return found
`,
);

/** More members. Arguments: session, bytes to answer at most, members. Answers records until that is reached. */
export const MORE: Script = new Script(
  COMMON,
  GROUP,
  `
local room = tonumber(ARGV[2])
local found = {}
for i = 3, #ARGV do
  if room <= 0 then break end
  local record = call('HGET', D, ARGV[i]) or ''
  room = room - #record
  found[#found + 1] = record
end
return found
`,
);

/** The names of all groups. Their key is the set. */
export const LIST: Script = new Script(`return redis.call('SMEMBERS', KEYS[1])`);
