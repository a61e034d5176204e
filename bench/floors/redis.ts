/** The least that Redis can do: take + token and compare + delete, one script each; publish to message and one trip. */
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

/** One hand-over a time: what one client publishes wakes another, which then makes one trip. */
export async function handoff(url: string): Promise<{ once(): Promise<void>; close(): Promise<void> }> {
  const [from, to] = [new Redis(url), new Redis(url)];
  let woken = () => {};
  to.on("message", () => woken());
  await to.subscribe("floor:bell");
  return {
    async once() {
      const message = new Promise<void>((resolve) => woken = resolve);
      await Promise.all([from.publish("floor:bell", ""), message.then(() => to.get("floor:lock"))]);
    },
    close: async () => void await Promise.all([from.quit(), to.quit()]),
  };
}
