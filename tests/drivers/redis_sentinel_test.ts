import assert from "node:assert/strict";
import { test } from "node:test";
import type { Redis } from "ioredis";
import { ConnectionError, LockLostError, SessionLostError } from "../../core/errors.ts";
import { redis } from "../../drivers/redis.ts";
import { fields } from "../../drivers/redis/client.ts";
import { findBinary } from "../servers/binaries.ts";
import type { ServerProcess } from "../servers/server.ts";
import { insist, LONG, take, Watched } from "./redis_sentinel_world.ts";
import { attempt, beating, fired, until } from "./redis_world.ts";

const OPTIONS = { skip: !findBinary("redis-server"), timeout: 120_000 };
const LOCK = { kind: "lock", name: "l" } as const;

test("options of sentinels are refused where there is none", () => {
  const refused: [string, RegExp][] = [
    ["redis://a,b", /want one server, or sentinel=NAME, or cluster=true, got 2 servers/],
    ["redis://a?sentinelPassword=secret", /"sentinelPassword" is there only with sentinel=NAME/],
    ["redis://a?sentinel=m&nat=a:1", /Cannot use option "nat": want host:port/],
  ];
  for (const [url, message] of refused) {
    assert.throws(
      () => redis(url),
      (error: Error) => message.test(error.message) && !/secret/.test(error.message),
    );
  }
});

test("a master is found while two of three sentinels are down or stopped [C36]", OPTIONS, async () => {
  await using watched = await Watched.start();
  const [one, two] = watched.cluster.sentinels;
  await one?.kill();
  two?.pause();
  const a = await watched.open("a");
  assert.ok(await take(a));
  two?.resume();
  for (const sentinel of watched.cluster.sentinels) await sentinel.kill();
  await a.beat();
  assert.equal(a.lost.aborted, false, "who is connected needs no sentinel");
  await assert.rejects(watched.open("b"), ConnectionError);
});

test("a name that no sentinel knows, and a server that is none, are told", OPTIONS, async () => {
  await using watched = await Watched.start();
  const { url, servers, sentinels } = watched.cluster;
  const port = `127.0.0.1:${servers[0]?.port}`;
  const bad: [string, RegExp][] = [
    [url.replace("mymaster", "other"), /No such master/],
    [`redis://${port}?sentinel=mymaster`, /unknown command|ERR/],
    [`redis://127.0.0.1:${sentinels[0]?.port}`, /it is a sentinel: want sentinel=NAME/],
    [`redis://127.0.0.1:${servers[1]?.port}`, /it is a replica, which can only be read/],
  ];
  for (const [url, message] of bad) {
    await assert.rejects(watched.open("a", url), (error) => {
      assert.ok(error instanceof ConnectionError);
      assert.match(error.message, message);
      return true;
    });
  }
});

test("passwords of servers and of sentinels, over TLS", OPTIONS, async () => {
  await using watched = await Watched.start({
    tls: true,
    password: "server-secret",
    sentinelPassword: "s-secret",
  });
  const a = await watched.open("a");
  assert.ok(await take(a));
  const { url } = watched.cluster;
  const bad = [url.replace("s-secret", "wrong"), url.replace("&sentinelPassword=s-secret", "")];
  for (const other of [...bad, url.replace(":server-secret@", ":wrong@")]) {
    await assert.rejects(watched.open("b", other), (error: Error) => {
      assert.ok(error instanceof ConnectionError);
      assert.match(error.message, /WRONGPASS|NOAUTH/);
      assert.doesNotMatch(`${error.stack} ${JSON.stringify(error.cause)}`, /secret|wrong/);
      return true;
    });
  }
});

test(
  "a user with the rights that the page lists at sentinels is enough, with less it is told",
  OPTIONS,
  async () => {
    await using watched = await Watched.start();
    const rights = ["+sentinel|master", "+sentinel|get-master-addr-by-name"];
    for (const sentinel of watched.cluster.sentinels) {
      const client = watched.client(sentinel);
      await client.call("acl", ["setuser", "watcher", "on", ">s3cr3t", "-@all", ...rights]);
      await client.call("acl", ["setuser", "blind", "on", ">s3cr3t", "-@all"]);
    }
    const as = (user: string) => `${watched.cluster.url}&sentinelUser=${user}&sentinelPassword=s3cr3t`;
    assert.ok(await take(await watched.open("a", as("watcher"))));
    await assert.rejects(watched.open("b", as("blind")), { name: "ConnectionError", message: /NOPERM/ });
  },
);

test("holds, waits and memberships outlive the master, where the replica has them", OPTIONS, async () => {
  await using watched = await Watched.start();
  const [a, b] = [await watched.open("a"), await watched.open("b")];
  using _ = beating([a, b]);
  const held = await take(a);
  await b.groups.create("g");
  const presence = await b.groups.join("g", { presence: "p", data: "1", replace: false });
  const waiting = take(b);
  await until(async () => (await b.locks.entries(LOCK)).length === 2, "b waits");
  const master = await watched.cluster.leader();
  await watched.replicated(master);
  await master.kill();
  await watched.promoted(master);
  assert.equal(await insist(() => held.check()), true);
  assert.equal(await insist(() => held.release()), true);
  const next = await waiting;
  assert.ok(next.token > held.token);
  assert.deepEqual([...(await insist(() => a.groups.members("g"))).members.keys()], ["b"]);
  assert.equal(a.lost.aborted || b.lost.aborted || presence.lost.aborted, false);
});

test(
  "what was not replicated is granted twice, told to the first, and greater for the second",
  OPTIONS,
  async () => {
    await using watched = await Watched.start();
    const [a, b] = [await watched.open("a"), await watched.open("b")];
    const master = await watched.cluster.leader();
    await watched.replicated(master);
    const forget = await watched.alone(master);
    const held = await take(a);
    await forget();
    const second = await insist(() => take(b));
    assert.ok(second.token > held.token, `${second.token} after ${held.token}`);
    using _ = beating([a, b]);
    assert.ok(await fired(held.lost, LONG) instanceof LockLostError);
    assert.equal(await second.check(), true);
  },
);

test("a session that was not replicated is lost", OPTIONS, async () => {
  await using watched = await Watched.start();
  const master = await watched.cluster.leader();
  const forget = await watched.alone(master);
  const a = await watched.open("a");
  await forget();
  using _ = beating([a]);
  assert.ok(await fired(a.lost, LONG) instanceof SessionLostError);
});

test("a release and a leaving that were not replicated are done again", OPTIONS, async () => {
  await using watched = await Watched.start();
  const [a, b] = [await watched.open("a"), await watched.open("b")];
  using _ = beating([a, b]);
  const held = await take(a);
  const shared = await take(a, "shared", { mode: "shared" });
  await a.groups.create("g");
  await a.groups.join("g", { presence: "p", data: "1", replace: false });
  const master = await watched.cluster.leader();
  await watched.replicated(master);
  const forget = await watched.alone(master);
  assert.equal(await held.release(), true);
  assert.equal(await shared.release(), true);
  await a.groups.remove("g", "a", "p");
  await forget();
  for (const name of ["l", "shared"]) {
    const taken = () => insist(() => b.locks.acquire(attempt(name, { wait: false })));
    await until(async () => await taken() !== undefined, `"${name}" is free`, LONG);
  }
  await until(async () => (await insist(() => b.groups.members("g"))).members.size === 0, "a has left", LONG);
  assert.equal(a.lost.aborted || held.lost.aborted, false);
});

test(
  "who is connected to a master that was replaced while it stood still finds out by a beat",
  OPTIONS,
  async () => {
    await using watched = await Watched.start();
    const [a, b] = [await watched.open("a"), await watched.open("b")];
    const held = await take(a);
    const master = await watched.cluster.leader();
    await watched.replicated(master);
    master.pause();
    const promoted = await watched.promoted(master);
    await insist(() => b.locks.break(LOCK));
    const second = await insist(() => take(b));
    assert.ok(second.token > held.token);
    master.resume();
    // It still says that it is the master, until a sentinel tells it otherwise, and would renew what it knows.
    await insist(() => a.beat());
    await fired(held.lost, LONG);
    assert.equal(await second.check(), true);
    const names = await watched.client(promoted).client("LIST");
    assert.ok(String(names).includes("resp=3"), "a is connected to the new master");
  },
);

test(
  "a master that is down for the sentinels is not used, though it can be reached from here",
  OPTIONS,
  async () => {
    await using watched = await Watched.start();
    const [master, ...replicas] = watched.cluster.servers as [ServerProcess, ...ServerProcess[]];
    for (const replica of replicas) await replica.kill();
    const client = watched.client(master);
    await client.call("config", ["set", "requirepass", "n3xt"]);
    // They come back without the new password, and are given no answer that counts.
    await client.call("client", ["kill", "type", "normal"]);
    const url = watched.cluster.url.replace("://", "://:n3xt@");
    const sentinels = watched.cluster.sentinels.map((sentinel) => watched.client(sentinel));
    const flags = async (sentinel: Redis) =>
      fields(await sentinel.call("sentinel", ["master", "mymaster"])).get("flags")?.split(",") ?? [];
    const isDown = (all: string[]) => all.includes("o_down") && !all.includes("failover_in_progress");
    await until(
      async () => (await Promise.all(sentinels.map(flags))).every(isDown),
      "it is down, and no fail-over goes on",
      LONG,
    );
    await assert.rejects(watched.open("a", url), {
      name: "ConnectionError",
      message: /is down or about to be replaced/,
    });
  },
);
