import assert from "node:assert/strict";
import { test } from "node:test";
import type { Session } from "../../driver.ts";
import { redis } from "../../drivers/redis.ts";
import type { RedisSession } from "../../drivers/redis/session.ts";
import { slotOf } from "../../drivers/redis/slots.ts";
import { findBinary } from "../servers/binaries.ts";
import { startRedis } from "../servers/redis.ts";
import type { ServerProcess } from "../servers/server.ts";
import { Spread } from "./redis_cluster_world.ts";
import { insist, LONG, take } from "./redis_sentinel_world.ts";
import { attempt, beating, fired, until } from "./redis_world.ts";

const OPTIONS = { skip: !findBinary("redis-server"), timeout: 120_000 };

/** What a session is known by on the servers. */
function sidOf(session: Session): string {
  return (session as RedisSession).sid; // What the driver opens is one.
}

test("slotOf() counts as the servers do", OPTIONS, async () => {
  await using spread = await Spread.start();
  const client = spread.client(spread.cluster.masters[0] as ServerProcess);
  for (const key of ["", "123456789", "{a}b", "{a}:s:{b}", "{ünï}:x", "{test:l:%7b}"]) {
    assert.equal(slotOf(key), await client.call("cluster", ["keyslot", key]), key);
  }
});

test("options that cannot be meant are refused", () => {
  const refused: [string, RegExp][] = [
    ["redis://a,b?cluster=true&sentinel=m", /a cluster has no sentinels/],
    ["redis://a,b/1?cluster=true", /a cluster has no database but 0, got 1/],
    ["redis://a,b?sentinel=", /"sentinel" wants the name of the master/],
    ["redis://a,b?nat=a:1=b:2", /"nat" is there only with/],
    ["redis://a,b", /want one server, or sentinel=NAME, or cluster=true, got 2 servers/],
  ];
  for (const [url, message] of refused) assert.throws(() => redis(url), message);
  assert.throws(() => redis("redis://a", { sentinel: "" }), /"sentinel" wants the name/);
});

test("a server that is none of a cluster, and a node without cluster=true, are told", OPTIONS, async () => {
  await using spread = await Spread.start();
  const [node] = spread.cluster.masters;
  await assert.rejects(spread.open("a", node?.url), /it is a node of a cluster: want cluster=true/);
  await using server = await startRedis();
  await assert.rejects(
    spread.open("a", `${server.url}?cluster=true`),
    /redis cluster at .* cluster support disabled/,
  );
});

test("locks, queues and groups of all nodes work, and groups() lists them all [C37]", OPTIONS, async () => {
  await using spread = await Spread.start();
  const [a, b] = [await spread.open("a"), await spread.open("b")];
  const groups = Array.from({ length: 20 }, (_, i) => `g${i}`);
  for (const group of groups) await a.groups.create(group);
  assert.deepEqual((await b.groups.list()).sort(), groups.sort());
  for (const name of [0, 1, 2].map((master) => spread.nameAt(master))) {
    const grant = await take(a, name);
    const waiting = take(b, name);
    await until(async () => (await b.locks.entries({ kind: "lock", name })).length === 2, "b waits");
    await grant.release();
    assert.ok((await waiting).token > grant.token);
  }
  await a.beat();
  for (const group of groups) await b.groups.delete(group);
  assert.deepEqual(await a.groups.list(), []);
  await b.close();
  for (const node of spread.cluster.masters) {
    assert.deepEqual(await spread.client(node).keys(`*:s:${sidOf(b)}*`), []);
  }
});

test("a slot that moves while a lock in it is held and waited for", OPTIONS, async () => {
  await using spread = await Spread.start();
  const [a, b] = [await spread.open("a"), await spread.open("b")];
  const name = spread.nameAt(0);
  const target = { kind: "lock", name } as const;
  const grant = await take(a, name);
  const waiting = take(b, name);
  await until(async () => (await a.locks.entries(target)).length === 2, "b waits");
  const c = await spread.open("c");
  const meanwhile: Promise<unknown>[] = [];
  await spread.move(name, spread.cluster.masters[1] as ServerProcess, async () => {
    // Some keys are here and others there: nobody may decide anything before they are together again.
    meanwhile.push(c.locks.acquire(attempt(name, { wait: false })), a.beat());
    await Promise.race([...meanwhile, spread.client(spread.cluster.masters[0] as ServerProcess).ping()]);
  });
  assert.deepEqual(await Promise.all(meanwhile), [undefined, undefined], "busy, and alive");
  assert.equal(await grant.check(), true);
  assert.equal(grant.lost.aborted, false);
  assert.equal((await a.locks.entries(target)).length, 2, "who waits has kept its place");
  assert.equal(await grant.release(), true);
  assert.ok((await waiting).token > grant.token);
  await a.beat();
});

test("a watch goes on after its slot has moved", OPTIONS, async () => {
  await using spread = await Spread.start();
  const [a, b] = [await spread.open("a"), await spread.open("b")];
  const name = spread.nameAt(0);
  const stop = new AbortController();
  const seen: (string | undefined)[] = [];
  const watching = (async () => {
    for await (const entry of b.locks.watch({ kind: "lock", name }, stop.signal)) seen.push(entry?.memberId);
  })();
  await until(() => seen.length === 1, "the first look");
  await spread.move(name, spread.cluster.masters[2] as ServerProcess);
  for (let i = 0; i < 3; i++) {
    const grant = await take(a, name);
    await until(() => seen.at(-1) === "a", "the grant is seen");
    await grant.release();
    await until(() => seen.at(-1) === undefined, "the release is seen");
  }
  stop.abort();
  await watching;
});

test("what a node that is restarted keeps stays held", OPTIONS, async () => {
  await using spread = await Spread.start({ persistent: true });
  const a = await spread.open("a");
  const names = [0, 1, 2].map((master) => spread.nameAt(master));
  const grants = [];
  for (const name of names) grants.push(await take(a, name));
  const node = spread.cluster.masters[1] as ServerProcess;
  await node.kill();
  assert.equal(await grants[0]?.check(), true, "the others serve");
  await node.restart();
  for (const grant of grants) assert.equal(await insist(() => grant.check()), true);
  await insist(() => a.beat());
  for (const grant of grants) assert.equal(await grant.release(), true);
});

test("what a node that is restarted forgets is lost, and nothing else", OPTIONS, async () => {
  await using spread = await Spread.start();
  const a = await spread.open("a");
  const home = Math.floor(slotOf(`{test:s:${sidOf(a)}}`) * 3 / 16_384);
  const [forgetful, other] = [(home + 1) % 3, (home + 2) % 3];
  const lost = await take(a, spread.nameAt(forgetful));
  const kept = await take(a, spread.nameAt(other));
  await (spread.cluster.masters[forgetful] as ServerProcess).restart();
  using _ = beating([a]);
  await fired(lost.lost, LONG);
  assert.equal(await insist(() => kept.check()), true);
  assert.equal(a.lost.aborted, false);
  const again = await insist(() => take(a, spread.nameAt(forgetful)));
  assert.ok(again.token > lost.token);
});

test("a node is killed, and its replica takes its place", OPTIONS, async () => {
  await using spread = await Spread.start({ replicas: 1 });
  const [a, b] = [await spread.open("a"), await spread.open("b")];
  const name = spread.nameAt(0);
  const grant = await take(a, name);
  const waiting = take(b, name);
  await until(async () => (await b.locks.entries({ kind: "lock", name })).length === 2, "b waits");
  const master = await spread.owner(name);
  await until(async () => await spread.client(master).wait(1, 1_000) === 1, "the replica has it all", LONG);
  using _ = beating([a, b]);
  await master.kill();
  await until(async () => await spread.owner(name).catch(() => master) !== master, "another serves", LONG);
  assert.equal(await insist(() => grant.check()), true);
  assert.equal(await insist(() => grant.release()), true);
  assert.ok((await waiting).token > grant.token);
  assert.equal(a.lost.aborted || b.lost.aborted, false);
});
