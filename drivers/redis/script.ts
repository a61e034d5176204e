import { createHash } from "node:crypto";

/** A Lua script of one key, sent by its hash once the server knows it. */
export class Script {
  readonly lua: string;
  #sha: string | undefined;
  #enters = false;

  constructor(...parts: string[]) {
    this.lua = parts.join("\n");
  }

  /** The script, for one whose last two arguments are {@linkcode ENTER}'s where the session is new to the tag. */
  static entering(...parts: string[]): Script {
    const script = new Script(...parts);
    script.#enters = true;
    return script;
  }

  /** Whether it makes something that dies with the session. */
  get enters(): boolean {
    return this.#enters;
  }

  get sha(): string {
    return this.#sha ??= createHash("sha1").update(this.lua).digest("hex");
  }
}

/**
 * Ends a script unless the session lives. `ARGV[7]`, where it is given, says how many ms it does at least, and `ARGV[8]`
 * whose it is: then the session begins here.
 */
export const ENTER = `
if ARGV[7] then
  if not redis.call('SET', ARGV[1], ARGV[8], 'PX', ARGV[7], 'NX')
    and redis.call('PTTL', ARGV[1]) < tonumber(ARGV[7]) then
    redis.call('PEXPIRE', ARGV[1], ARGV[7])
  end
elseif redis.call('EXISTS', ARGV[1]) == 0 then
  return 'lost'
end
`;

/** What a script answers when the session that asks is no more. */
export const LOST = "lost";

/**
 * What most scripts know: `KEYS[1]` is the tag that all keys of the lock or group share, `ARGV[1]` the key of the
 * session that asks, `root:s:<sid>`: the root is the namespace, and on a cluster the tag. Liveness is the session key
 * and nothing else.
 */
export const COMMON = `
local call, match = redis.call, string.match
local tag = KEYS[1]
local root, sid = match(ARGV[1], '^(.*):s:([^:]*)$')
local function alive(sid) return call('EXISTS', root .. ':s:' .. sid) == 1 end
local function remaining(sid) return call('PTTL', root .. ':s:' .. sid) end
local function tell(sid, message)
  return call('PUBLISH', match(tag, '^{([^:]*)') .. ':c:' .. match(sid, '^[^.]*'), message)
end
-- Lua prints numbers with 14 digits, too few for a clock.
local function exact(n) return string.format('%.0f', n) end
local function millis()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
`;

/**
 * For operations that must not be done twice when an answer was lost: `once(id)` is the answer that was given, and
 * `answer(id, value)` remembers it for long enough.
 */
export const ONCE = `
local function once(id) return call('GET', tag .. ':o:' .. id) end
local function answer(id, value)
  call('SET', tag .. ':o:' .. id, value, 'PX', 60000)
  return value
end
`;
