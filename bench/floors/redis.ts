/** The least that Redis can do: take + token and compare + delete, one script each. */
import { Redis } from "ioredis";

const TAKE =
  `if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', 30000) then return redis.call('INCR', KEYS[2]) end`;
const RELEASE = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end`;

/** One acquire and release a time, alone. */
export async function floor(url: string): Promise<{ once(): Promise<void>; close(): Promise<void> }> {
  const client = new Redis(url);
  const take = String(await client.script("LOAD", TAKE));
  const release = String(await client.script("LOAD", RELEASE));
  return {
    async once() {
      const owner = crypto.randomUUID();
      await client.evalsha(take, 2, "floor:lock", "floor:token", owner);
      await client.evalsha(release, 1, "floor:lock", owner);
    },
    close: async () => void await client.quit(),
  };
}
