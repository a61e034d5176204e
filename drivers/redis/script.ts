import { createHash } from "node:crypto";

/** A Lua script of one key, sent by its hash once the server knows it. */
export class Script {
  readonly lua: string;
  #sha: string | undefined;

  constructor(...parts: string[]) {
    this.lua = parts.join("\n");
  }

  get sha(): string {
    return this.#sha ??= createHash("sha1").update(this.lua).digest("hex");
  }
}

/** What a script answers when the session that asks is no more. */
export const LOST = "lost";

/**
 * What most scripts know: `KEYS[1]` is the tag that all keys of the lock or group share, `ARGV[1]` the key of the
 * session that asks, `root:s:<sid>`. Liveness is the session key and nothing else.
 */
export const COMMON = `
local call, match = redis.call, string.match
local tag = KEYS[1]
local root, sid = match(ARGV[1], '^([^:]*):s:(.*)$')
local function alive(sid) return call('EXISTS', root .. ':s:' .. sid) == 1 end
local function remaining(sid) return call('PTTL', root .. ':s:' .. sid) end
local function tell(sid, message) return call('PUBLISH', root .. ':c:' .. sid, message) end
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
