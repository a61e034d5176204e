/**
 * What is kept of a lock, and the parts of its scripts. Its keys, all after its tag:
 *
 * - `:x` string: `token flag`, and while it is held exclusively `token flag attempt sid since claim value`
 * - `:r` hash, the shared holders: attempt to `sid token since claim value`
 * - `:q` sorted set, who waits: `mode sid attempt`, scored by arrival
 * - `:v` hash, attempt to value of those that wait and have one
 * - `:b` hash, the attempts whose hold was broken
 * - `:w:ATTEMPT` string, for a while: the attempt was given up, and what comes late of it finds nothing
 * - `:a` string, for a second: the holders were asked whether they know of their hold
 *
 * `token` is the last one given. `flag` is `-` only where nobody waits, reads or watches, so that most locks are taken
 * and given back without looking for those; `q` where somebody may wait or read; `w` where somebody watches. `claim` is
 * 0 once the holder knows of its grant; before, the moment until which it must have asked. Every key is given a day to
 * live, which use renews, so that nothing stays of a lock that nobody uses.
 */

/** Reading and writing of `:x`. */
export const HOLD = `
local DAY = '86400000'
local X, R, Q, V = tag .. ':x', tag .. ':r', tag .. ':q', tag .. ':v'
local last, held = '0', ''
local flag
local function load(x)
  flag = 'q'
  if x then last, flag, held = match(x, '^(%d+) (.) ?(.*)$') end
end
local function store()
  if flag == 'w' and call('PUBLISH', tag, '') == 0 then flag = 'q' end
  call('SET', X, last .. ' ' .. flag .. (held == '' and '' or ' ' .. held), 'PX', DAY)
end
local function holder() return match(held, '^%S+') end
-- The session, time of grant, claim and value of the exclusive holder.
local function details() return match(held, '^%S+ (%S+) (%S+) (%S+) (.*)$') end
`;

/** Granting, and handing a free lock on. */
export const QUEUE = `
local CLAIM = 1000
local function grant(mode, sid, attempt, claim, value)
  -- Greater than all before, and also after the last one was lost: the clock is ahead of any counting.
  local time = call('TIME')
  local token = math.max(time[1] * 1000000 + time[2], last + 1)
  last = exact(token)
  local since = time[1] .. string.format('%03d', time[2] / 1000)
  if claim > 0 then claim = exact(since + claim) end
  if mode == 'x' then
    held = attempt .. ' ' .. sid .. ' ' .. since .. ' ' .. claim .. ' ' .. value
    if flag == 'q' and call('EXISTS', Q) == 0 then flag = '-' end
  else
    call('HSET', R, attempt, sid .. ' ' .. last .. ' ' .. since .. ' ' .. claim .. ' ' .. value)
    call('PEXPIRE', R, DAY)
    if flag == '-' then flag = 'q' end
  end
  store()
  return 'granted ' .. last
end

local function blocked(mode)
  return held ~= '' or (mode == 'x' and call('HLEN', R) > 0)
end

-- Moves the lock on as far as the mode allows, at most 64 holders at once so as not to block the server: each of them
-- calls again when it claims. Whoever is first after that, newly, is told to watch for the death of those before it.
local function advance(me, moved)
  local mine
  local granted = 0
  while granted < 64 do
    local head = call('ZRANGE', Q, 0, 0)[1]
    if not head then break end
    local mode, sid, attempt = match(head, '^(%a) (%S+) (%S+)$')
    local address = ' ' .. tag .. ' ' .. mode .. ' ' .. attempt
    local live = alive(sid)
    if live and blocked(mode) then
      if attempt == me or not moved then break end
      -- Nobody hears: its connection is gone. It will be back by itself, and keeps its number of arrival.
      if tell(sid, 'head ' .. (granted > 0 and CLAIM or 0) .. address) > 0 then break end
      live = false
    end
    local value = live and call('HGET', V, attempt) or ''
    call('ZREM', Q, head)
    call('HDEL', V, attempt)
    moved = true
    if live and attempt == me then
      mine = grant(mode, sid, attempt, 0, value)
      granted = granted + 1
    elseif live and tell(sid, 'granted 0' .. address) > 0 then
      grant(mode, sid, attempt, CLAIM, value)
      granted = granted + 1
    end
  end
  return mine
end
`;

/** Finding out whether holders live. */
export const LIVES = `
-- How long until a hold can end by itself; 0 or less: it has ended.
local function lifetime(sid, claim)
  local ms = remaining(sid)
  if claim ~= '0' then ms = math.min(ms, claim - millis()) end
  return ms
end

-- Drops a dead exclusive holder, else says how long it lives at least.
local function prune_exclusive()
  if held == '' then return end
  local sid, _, claim = details()
  local ms = lifetime(sid, claim)
  if ms > 0 then return ms end
  held = ''
  store()
end

-- Drops the dead shared holders and says how long the others live at least. With early, looks no further than the
-- first that lives.
local function prune_shared(early)
  local first
  local all = call('HGETALL', R)
  for i = 1, #all, 2 do
    local sid, claim = match(all[i + 1], '^(%S+) %S+ %S+ (%S+)')
    local ms = lifetime(sid, claim)
    if ms <= 0 then call('HDEL', R, all[i])
    elseif early then return ms
    elseif not first or ms < first then first = ms end
  end
  return first
end
`;

/** Finding out whether holders know that they hold. */
export const DOUBT = `
-- A server that forgot its last moments, as one that was promoted may have, has holds that were given back since. Their
-- session lives, hears of them here, and gives them back again.
local function doubt()
  if not call('SET', tag .. ':a', 1, 'PX', 1000, 'NX') then return end
  if held ~= '' then tell((details()), 'doubt 0 ' .. tag .. ' x ' .. holder()) end
  local all = call('HGETALL', R)
  for i = 1, math.min(#all, 128), 2 do
    tell(match(all[i + 1], '^%S+'), 'doubt 0 ' .. tag .. ' r ' .. all[i])
  end
end
`;
