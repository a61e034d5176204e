// Which server the client uses while sentinels differ, or are not done with a fail-over.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import { fields } from "../../drivers/redis/client.ts";
import { findBinary } from "../servers/binaries.ts";
import { startProxy } from "../servers/proxy.ts";
import { startRedis } from "../servers/redis.ts";
import type { ServerProcess } from "../servers/server.ts";
import { failOver, insist, LONG, take, Watched } from "./redis_sentinel_world.ts";
import { until } from "./redis_world.ts";

const OPTIONS = { skip: !findBinary("redis-server"), timeout: 120_000 };

test("a master that comes back, empty, is not used while the fail-over goes on", OPTIONS, async () => {
  await using watched = await Watched.start({ downAfter: 3_000 });
  const former = await watched.cluster.leader();
  await former.kill();
  const promoted = await watched.cluster.leader();
  // Sentinels are not done before this one follows too, or is taken for down.
  const other = watched.cluster.servers.find((server) => server !== former && server !== promoted);
  other?.pause();
  await former.start();
  const sentinels = watched.cluster.sentinels.map((sentinel) => watched.client(sentinel));
  let opened = 0;
  while (!(await shown(sentinels)).every((port) => port === promoted.port)) {
    const session = await insist(() => watched.open(`member-${opened++}`));
    await insist(() => take(session, `lock-${opened}`));
    await sleep(20);
  }
  assert.ok(opened > 0, "the fail-over was over at once");
  assert.equal(await scripts(watched, former), 0, `of ${opened} sessions some used the former master`);
  assert.ok(await scripts(watched, promoted) > 0);
});

test("a master that is about to be replaced is not used", OPTIONS, async () => {
  await using watched = await Watched.start();
  const [master, ...replicas] = watched.cluster.servers as [ServerProcess, ...ServerProcess[]];
  const sentinel = watched.client(watched.cluster.sentinels[0] as ServerProcess);
  await until(
    async () => {
      // Whichever is chosen does not hear of it, until the sentinel gives up.
      for (const replica of replicas) replica.pause();
      if (await failOver(sentinel)) return true;
      for (const replica of replicas) replica.resume();
      await sleep(200);
      return false;
    },
    "a fail-over begins",
    LONG,
  );
  await assert.rejects(watched.open("a"), {
    name: "ConnectionError",
    message: /down or about to be replaced/,
  });
  assert.equal(await scripts(watched, master), 0);
});

test(
  "a sentinel that knows of a later fail-over counts, though the others answer faster",
  OPTIONS,
  async () => {
    await using watched = await Watched.start();
    await using stray = await startRedis();
    const [first, ...others] = watched.cluster.sentinels as [ServerProcess, ...ServerProcess[]];
    const leader = watched.client(first);
    await until(() => failOver(leader), "a fail-over begins", LONG);
    const master = await watched.promoted(watched.cluster.servers[0] as ServerProcess);
    const behind = others.map((other) => watched.client(other));
    await using slow = await startProxy(first.port);
    slow.delay(30);
    const url = watched.cluster.url.replace(`:${first.port}`, `:${slow.port}`);
    // A machine that stands still for a moment makes it too slow to be waited for; never every time.
    let isHeard = false;
    for (let tries = 1; !isHeard; tries++) {
      for (const sentinel of behind) {
        await sentinel.call("sentinel", ["remove", "mymaster"]);
        await sentinel.call("sentinel", ["monitor", "mymaster", "127.0.0.1", `${stray.port}`, "2"]);
      }
      const before = await scripts(watched, stray);
      await take(await watched.open(`member-${tries}`, url), `lock-${tries}`);
      const misled = await scripts(watched, stray) > before;
      // The others may have heard of it from the first one meanwhile.
      isHeard = !misled && (await shown(behind)).every((port) => port === stray.port);
      assert.ok(isHeard || tries < 10, "scripts ran on the server that the others name");
    }
    assert.ok(await scripts(watched, master) > 0);
  },
);

/** On which port the sentinels show the master. */
async function shown(sentinels: readonly Redis[]): Promise<number[]> {
  const answers = sentinels.map((sentinel) => sentinel.call("sentinel", ["master", "mymaster"]));
  return (await Promise.all(answers)).map((answer) => Number(fields(answer).get("port")));
}

/** How many scripts of clients a server has run. */
async function scripts(watched: Watched, server: ServerProcess): Promise<number> {
  const stats = await watched.client(server).info("commandstats");
  return [...stats.matchAll(/^cmdstat_evals?h?a?:calls=(\d+)/gm)].reduce(
    (sum, [, calls]) => sum + Number(calls),
    0,
  );
}
