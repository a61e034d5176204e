// What must be given back whatever happens: without memory, and though a request comes behind its own withdrawal.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { getCoordinator } from "../../mod.ts";
import { encode } from "../../drivers/redis/keys.ts";
import { ACQUIRE } from "../../drivers/redis/lock_scripts.ts";
import type { RedisSession } from "../../drivers/redis/session.ts";
import { failure, within } from "../conformance/waiting.ts";
import { findBinary } from "../servers/binaries.ts";
import { startRedis } from "../servers/redis.ts";
import { attempt, beating, startWorld, until } from "./redis_world.ts";

const OPTIONS = { skip: !findBinary("redis-server"), timeout: 60_000 };
const LOCK = { kind: "lock", name: "l" } as const;

test("without memory everything can be given back, and nothing is taken", OPTIONS, async () => {
  await using world = await startWorld();
  const [a, b] = [await world.open("a", { ttl: 30_000 }), await world.open("b", { ttl: 6_000 })];
  using _ = beating([b], 500);
  const [exclusive, shared] = [await a.take("l"), await a.take("r", { mode: "shared" })];
  await a.groups.create("g");
  const stop = new AbortController();
  const cancelled = failure(b.locks.acquire(attempt("r", { signal: stop.signal })));
  const next = b.take("l");
  const presence = crypto.randomUUID();
  await a.groups.join("g", { presence, data: "{}", replace: false });
  await until(async () => (await b.locks.entries(LOCK)).length === 2, "one waits");
  await world.client.call("config", ["set", "maxmemory-policy", "noeviction"]);
  await world.client.call("config", ["set", "maxmemory", "1"]);
  await assert.rejects(a.locks.acquire(attempt("new")), /OOM/);
  stop.abort(new Error("enough"));
  await within(cancelled, "the wait ends");
  assert.equal(await within(shared.release(), "it is answered"), true);
  assert.equal(await within(exclusive.release(), "it is answered"), true);
  await a.groups.remove("g", "a", presence);
  assert.deepEqual(await b.locks.entries({ kind: "lock", name: "r" }), []);
  assert.equal((await b.groups.members("g")).members.size, 0);
  // Who waits has kept its place, and takes what is free once there is room for it.
  await world.client.call("config", ["set", "maxmemory", "0"]);
  const grant = await within(next, "the next has it");
  assert.equal(await grant.release(), true);
});

test("a withdrawal wins over its attempt, also when it comes first", OPTIONS, async () => {
  await using world = await startWorld();
  const a = await world.open("a");
  // The session is one of redis; its requests are sent in the wrong order on purpose.
  const session = a as unknown as RedisSession;
  const { id } = attempt("l");
  const tag = session.keys.lock(LOCK);
  for (const mode of ["x", "r"]) {
    for (const wait of ["wait", "try"]) {
      const own = encode(`${id}-${mode}-${wait}`);
      await session.withdraw(tag, mode, own);
      await session.call(ACQUIRE, tag, [own, mode, wait, "", ""]);
      assert.deepEqual(await a.locks.entries(LOCK), [], `${mode} ${wait}`);
    }
  }
  assert.equal(await (await a.take("l")).release(), true);
});

test("a wait that ends after the server forgot its scripts leaves no hold", OPTIONS, async () => {
  await using world = await startWorld();
  const { proxy, url } = await world.proxied();
  const [a, b] = [
    await world.open("a", { url, ttl: 30_000, timeout: 10_000 }),
    await world.open("b", { ttl: 30_000 }),
  ];
  const held = await b.take("l");
  const stop = new AbortController();
  const waiting = failure(a.locks.acquire(attempt("l", { signal: stop.signal })));
  await until(async () => (await b.locks.entries(LOCK)).length === 2, "it waits");
  proxy.delay(200);
  await world.client.call("script", ["flush"]);
  const { requests } = { requests: await commands(world.client) };
  await held.release();
  // It has heard of its grant, and asks for it by the hash of a script that is not there.
  await until(async () => await commands(world.client) > requests + 1, "it asks");
  stop.abort(new Error("enough"));
  await within(waiting, "the wait ends");
  await sleep(1_500); // Until all that was delayed has arrived.
  await until(async () => (await b.locks.entries(LOCK)).length === 0, "nobody holds the lock");
  assert.equal(await (await b.take("l")).release(), true);
});

/** How often the server was asked to run a script, by its hash or in full. */
async function commands(client: Redis): Promise<number> {
  const stats = await client.info("commandstats");
  const calls = [...stats.matchAll(/cmdstat_eval(?:sha)?:calls=(\d+)/g)].map(([, count]) => Number(count));
  return calls.reduce((sum, count) => sum + count, 0);
}

test(
  "Redis 6: what becomes a replica, and a master again, serves again",
  { ...OPTIONS, skip: !findBinary("redis-server", "bullseye") },
  async () => {
    await using master = await startRedis();
    await using server = await startRedis({ suite: "bullseye" });
    const client = new Redis(server.port);
    try {
      assert.match(await client.info("server"), /redis_version:6\./);
      await using coord = await getCoordinator(server.url, { ttl: 12_000 });
      const lease = await coord.lock("held").acquire();
      await client.call("replicaof", ["127.0.0.1", master.port]);
      await within(failure(coord.lock("l").acquire()), "it is refused");
      assert.equal(coord.state, "suspended");
      await client.call("replicaof", ["no", "one"]);
      await until(() => coord.state === "connected", "it is back");
      assert.equal(await (await within(coord.lock("l").acquire(), "it serves")).release(), true);
      await lease.release();
    } finally {
      client.disconnect();
    }
  },
);

test("what is granted to an attempt that nobody knows any more is given back", OPTIONS, async () => {
  await using world = await startWorld();
  const [a, b] = [await world.open("a", { ttl: 60_000 }), await world.open("b", { ttl: 60_000 })];
  const held = await b.take("l");
  // The session is one of redis; this request comes so late that its withdrawal is forgotten.
  const session = a as unknown as RedisSession;
  const own = encode(attempt("l").id);
  await session.call(ACQUIRE, session.keys.lock(LOCK), [own, "x", "wait", "", ""]);
  assert.equal((await b.locks.entries(LOCK)).length, 2);
  await held.release();
  await until(async () => (await b.locks.entries(LOCK)).length === 0, "nobody holds it or waits");
});
