// What becomes of sessions whose connections end in other ways than cleanly, and what many locks cost.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CapacityError, ConnectionError, LockBrokenError, SessionLostError } from "../../core/errors.ts";
import type { SqlSession } from "../../internal/sql/session.ts";
import { Interrupted } from "../../internal/sql/store.ts";
import { getCoordinator } from "../../mod.ts";
import { RemoteMember, WORKER } from "../conformance/remote.ts";
import { aborted, within } from "../conformance/waiting.ts";
import { collectGarbage } from "../processes/garbage.ts";
import { currentRuntime } from "../processes/runtimes.ts";
import { spawnWorker } from "../processes/spawn.ts";
import { DeafWay } from "../servers/deaf_way.ts";
import { canIsolate, Island } from "../servers/island.ts";
import { startPostgresql } from "../servers/postgresql.ts";
import { attempt, fired, OPTIONS, type Party, startWorld, until, type World } from "./postgresql_world.ts";

const LOCK = { kind: "lock", name: "l" } as const;

/** The server's process that holds the locks of a member. */
function processOf(world: World, member: string): Promise<number> {
  return world.value(
    "select pid from tooz.connection where member = convert_to($1, 'utf8') and not waits",
    member,
  );
}

/** Those that wait for a member, or guard for it. */
function sidesOf(world: World, member: string): Promise<number[]> {
  return world.value(
    "select coalesce(array_agg(pid), '{}') from tooz.connection where member = convert_to($1, 'utf8') and waits",
    member,
  );
}

async function queued(party: Party, count: number): Promise<void> {
  await until(async () => (await party.locks.entries(LOCK)).length === count, `${count} entries`);
}

test(
  "a session whose backend is terminated is lost at once, and its lock is the next one's",
  OPTIONS,
  async () => {
    await using world = await startWorld();
    const [a, b] = [await world.open("a"), await world.open("b")];
    const held = await a.take("l");
    const next = b.take("l");
    await queued(b, 2);
    await world.value("select pg_terminate_backend($1)", await processOf(world, "a"));
    assert.ok(await fired(a.lost) instanceof SessionLostError);
    assert.ok((await next).token > held.token);
    assert.deepEqual([await held.check(), await held.release()], [false, false]);
  },
);

test(
  "a wait whose backend is terminated rejects, and nothing else of the session is lost",
  OPTIONS,
  async () => {
    await using world = await startWorld();
    const [a, b] = [await world.open("a"), await world.open("b")];
    const [held, other] = [await a.take("l"), await b.take("other")];
    const failed = b.take("l").catch((error: unknown) => error);
    await queued(a, 2);
    for (const pid of await sidesOf(world, "b")) await world.value("select pg_terminate_backend($1)", pid);
    const error = await failed;
    assert.ok(
      error instanceof ConnectionError && /Cannot wait any longer/.test(error.message),
      String(error),
    );
    await queued(a, 1);
    assert.equal(await other.check(), true);
    const again = b.take("l");
    await queued(a, 2);
    await held.release();
    assert.ok(await again);
  },
);

test(
  "a wait whose statement somebody cancels goes on, at the head of the line in its place",
  OPTIONS,
  async () => {
    await using world = await startWorld();
    const [a, b] = [await world.open("a"), await world.open("b")];
    const held = await a.take("l");
    const next = b.take("l");
    await queued(a, 2);
    for (let i = 0; i < 20; i++) {
      for (const pid of await sidesOf(world, "b")) await world.value("select pg_cancel_backend($1)", pid);
    }
    await queued(a, 2);
    await held.release();
    assert.equal(await (await next).release(), true);
    await queued(a, 0);
  },
);

test(
  "an end that only the server saw is signalled at the next contact, within a third of the ttl",
  OPTIONS,
  async () => {
    await using world = await startWorld();
    using way = await DeafWay.start(world.server.port);
    const ttl = 3_000;
    await using coord = await getCoordinator(world.server.urlAt(way.port), { ttl, memberId: "a" });
    const lease = await coord.lock("l").acquire();
    way.deafen();
    const start = performance.now();
    await world.value("select pg_terminate_backend($1)", await processOf(world, "a"));
    await aborted(lease.signal, "the next contact tells", ttl / 3 + 500);
    const took = Math.round(performance.now() - start);
    console.log(`postgresql: signalled ${took} ms after an end that only the server saw, ttl ${ttl} ms`);
  },
);

test("a lease's signal fires before the server gives a silent connection up, which it does", {
  ...OPTIONS,
  skip: OPTIONS.skip || !canIsolate(),
}, async () => {
  using island = new Island();
  await using server = await startPostgresql({ address: island.address });
  const ttl = 3_000;
  const options = { ttl, namespace: "test", memberId: "away" };
  const url = server.url.replace("127.0.0.1", island.address);
  await using process = await spawnWorker(currentRuntime, WORKER, { below: island.command });
  const away = await RemoteMember.open({ runtime: currentRuntime, process }, url, options);
  await using near = await getCoordinator(server.url, { namespace: "test" });
  const held = await away.acquire("l");
  const granted = near.lock("l").acquire().then((lease) => ({ token: lease.token, at: Date.now() }));
  const cut = Date.now();
  island.cut();
  const [lost, lease] = await Promise.all([held.lost(), granted]);
  const [signal, grant] = [lost.at - cut, lease.at - cut];
  console.log(
    `postgresql: cut off at 0, signal after ${signal} ms, granted after ${grant} ms, ttl ${ttl} ms`,
  );
  assert.ok(signal < grant, `the signal came ${signal - grant} ms after the grant`);
  assert.ok(lease.token > held.token);
});

test("a hold of which a session could not learn whether it was broken is given back", OPTIONS, async () => {
  await using world = await startWorld();
  const [one, two] = [await world.open("one"), await world.open("two")];
  await two.take("other");
  assert.equal(await two.locks.break({ kind: "lock", name: "other" }), true);
  await world.client.query("begin; lock table tooz.generation in access exclusive mode");
  const taking = one.take("l");
  const refused = assert.rejects(taking, /canceling statement due to user request/);
  const waits = "select pid from pg_locks where not granted and relation = 'tooz.generation'::regclass";
  await until(async () => await world.value(waits) !== undefined, "it asks what was broken");
  await world.client.query(`select pg_cancel_backend(pid) from (${waits}) waiting`);
  await refused;
  await world.client.query("rollback");
  assert.equal(await (await two.take("l", { wait: false })).release(), true);
});

test(
  "10,000 names, one after the other, leave nothing in tables, connections or memory",
  OPTIONS,
  async () => {
    await using world = await startWorld();
    const a = await world.open("a");
    const measure = async () => ({
      rows: await world.value<number>(
        `select (select count(*) from tooz.connection)::int + (select count(*) from tooz.generation)::int +
        (select count(*) from tooz.leader)::int + (select count(*) from tooz.groups)::int +
        (select count(*) from tooz.member)::int`,
      ),
      locks: await world.value<number>("select count(*)::int from pg_locks where locktype = 'advisory'"),
      connections: await world.connections(),
    });
    for (let i = 0; i < 1_000; i++) await (await a.take(`warm-up-${i}`)).release();
    const [before, heap] = [await measure(), collectGarbage()];
    for (let i = 0; i < 10_000; i++) await (await a.take(`lock-${i}`)).release();
    const [after, grown] = [await measure(), collectGarbage() - heap];
    console.log(
      `postgresql: 10,000 names: ${JSON.stringify(after)}, heap ${Math.round(grown / 1024)} KiB more`,
    );
    assert.deepEqual(after, before);
    assert.deepEqual(after, { rows: 1, locks: 1, connections: 1 });
    assert.ok(grown < 2 * 1024 ** 2, `${grown} bytes more`);
  },
);

test("500 locks held at once use one connection, and waits one each up to the cap", OPTIONS, async () => {
  await using world = await startWorld();
  const [a, b] = [await world.open("a"), await world.open("b", { driver: { maxWaiting: 5 } })];
  const grants = await Promise.all(Array.from({ length: 500 }, (_, i) => a.take(`lock-${i}`)));
  assert.equal(await world.connections(), 2);
  const waiting = Array.from({ length: 5 }, (_, i) => b.take(`lock-${i}`));
  await until(async () => await world.connections() === 7, "five wait");
  const error = await b.take("lock-5").catch((reason: unknown) => reason);
  assert.ok(error instanceof CapacityError && /the 5 that option "maxWaiting" allows/.test(error.message));
  assert.equal(await world.connections(), 7);
  await Promise.all(grants.map((grant) => grant.release()));
  assert.equal((await Promise.all(waiting)).length, 5);
  assert.ok(await b.take("lock-5"));
});

test("500 leases of one coordinator, held at once, use at most 4 connections", OPTIONS, async () => {
  await using world = await startWorld();
  await using coord = await getCoordinator(world.server.url);
  const taking = Array.from({ length: 500 }, (_, i) => coord.lock(`lock-${i}`).acquire());
  const leases = await within(Promise.all(taking), "all are held", 60_000);
  const connections = await world.connections();
  console.log(`postgresql: ${leases.length} leases at once, ${connections} connections`);
  assert.ok(connections <= 4, `${connections} connections`);
  assert.deepEqual(new Set(await Promise.all(leases.map((lease) => lease.isHeld()))), new Set([true]));
});

test(
  "break() moves a waiter on, whatever it does at that moment, and tells the holder",
  OPTIONS,
  async () => {
    await using world = await startWorld();
    const [a, b, c] = [await world.open("a"), await world.open("b"), await world.open("c")];
    let last = 0n;
    for (let i = 0; i < 40; i++) {
      const held = await a.take("l");
      const next = b.take("l");
      // Sometimes it waits by then, and sometimes it is about to.
      if (i % 2) await queued(c, 2);
      else await sleep(i / 10);
      assert.equal(await c.locks.break(LOCK), true);
      const grant = await next;
      assert.ok(grant.token > held.token && held.token > last);
      last = grant.token;
      assert.ok(await fired(held.lost) instanceof LockBrokenError);
      assert.equal(await grant.release(), true);
    }
    assert.equal(await world.value("select count(*)::int from tooz.generation"), 1);
    await queued(c, 0);
  },
);

test("an abort that meets the grant leaves nothing, whichever was first", OPTIONS, async () => {
  await using world = await startWorld();
  const [a, b, c] = [await world.open("a"), await world.open("b"), await world.open("c")];
  for (let i = 0; i < 200; i++) {
    const held = await a.take("l");
    const stop = new AbortController();
    const next = b.locks.acquire(attempt("l", { signal: stop.signal })).catch(() => undefined);
    await queued(c, 2);
    const released = held.release();
    if (i % 4) await sleep(i % 4 / 2);
    stop.abort();
    await released;
    await (await next)?.release();
    assert.equal(await (await c.take("l", { wait: false })).release(), true);
  }
  assert.equal(await world.value("select count(*)::int from pg_locks where locktype = 'advisory'"), 3);
});

test("a wait that gets no connection first asks whether the session still lives", OPTIONS, async () => {
  await using world = await startWorld();
  const [a, b] = [await world.open("a"), await world.open("b")];
  const held = await a.take("l");
  // The session is one of a database; what has ended the server is heard of on the new connection first.
  const session = b as unknown as SqlSession;
  session.store.side = () => {
    const cause = new Error("connect ECONNREFUSED");
    return Promise.reject(new Interrupted(cause.message, { cause }));
  };
  session.store.standing = (holds) => {
    session.lose(new Error("the server was killed"));
    return Promise.resolve(new Set(holds));
  };
  await assert.rejects(b.take("l"), SessionLostError);
  assert.equal(await held.release(), true);
});
