// What becomes of locks when a standby takes the primary's place, and when the primary does without it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ConnectionError, LockLostError, SessionLostError } from "../../core/errors.ts";
import { postgresql } from "../../drivers/postgresql.ts";
import { getCoordinator } from "../../mod.ts";
import { aborted, eventually, failure, within } from "../conformance/waiting.ts";
import { startPostgresql } from "../servers/postgresql.ts";
import { askPostgresql, promote, startPostgresqlPair } from "../servers/postgresql_pair.ts";
import { startProxy } from "../servers/proxy.ts";
import type { ServerProcess } from "../servers/server.ts";
import { fired, OPTIONS, startWorld, type World } from "./postgresql_world.ts";

/** Both hosts in a URL, in this order. */
function urlOf(first: ServerProcess, second: ServerProcess): string {
  return first.url.replace(/\/postgres$/, `,127.0.0.1:${second.port}/postgres`);
}

/** Waits until a standby has all that its primary has written. */
async function caughtUp(world: World, standby: ServerProcess): Promise<void> {
  const at = await world.value<string>("select pg_current_wal_flush_lsn()::text");
  await eventually(() => askPostgresql(standby, `select pg_last_wal_replay_lsn() >= '${at}'::pg_lsn`));
}

test(
  "an asynchronous standby that was behind forgets groups, and gives no token again when it is promoted",
  OPTIONS,
  async () => {
    await using world = await startWorld();
    await using way = await startProxy(world.server.port);
    await using standby = await startPostgresql({ primary: () => way.port });
    const from = urlOf(standby, world.server);
    const a = await world.open("a", { from });
    await a.groups.create("known");
    await caughtUp(world, standby);
    way.refuse();
    await a.groups.create("unknown");
    const holds = await Promise.all(Array.from({ length: 100 }, (_, i) => a.take(`lock-${i}`)));
    // As other sessions would.
    await world.value("select count(nextval('tooz.fence')) from generate_series(1, 900000)");
    holds.push(await a.take("last"));
    await world.server.kill();
    assert.ok(await fired(a.lost) instanceof SessionLostError);
    await promote(standby);
    const b = await world.open("b", { from });
    const tokens = holds.map(({ token }) => token);
    const most = tokens.reduce((one, other) => one > other ? one : other);
    const next = await b.take("lock-0");
    console.log(`postgresql: the last token before was ${most}, the first after it ${next.token}`);
    assert.ok(next.token > most, `token ${next.token} came after ${most}`);
    assert.deepEqual(await b.groups.list(), ["known"]);
  },
);

test(
  "a primary that is not stopped when its standby is promoted keeps its sessions: two hold",
  OPTIONS,
  async () => {
    await using world = await startWorld();
    await using standby = await startPostgresql({ primary: () => world.server.port });
    const from = urlOf(standby, world.server);
    const old = await world.open("old", { from });
    const held = await old.take("l");
    await caughtUp(world, standby);
    await promote(standby);
    const young = await world.open("young", { from });
    const other = await young.take("l", { wait: false });
    assert.ok(other.token > held.token);
    // It stays where it began.
    await old.beat();
    assert.deepEqual([old.lost.aborted, await held.check(), await other.check()], [false, true, true]);
    await world.server.kill();
    assert.ok(await fired(old.lost) instanceof SessionLostError);
    assert.equal(await other.check(), true);
  },
);

test(
  "the holder on a primary that falls silent is told by its own clock, while the standby grants",
  OPTIONS,
  async () => {
    await using world = await startWorld();
    await using standby = await startPostgresql({ primary: () => world.server.port });
    const options = { ttl: 6_000, namespace: "test" };
    await using a = await getCoordinator(world.server.url, options);
    const lease = await a.lock("l").acquire();
    await caughtUp(world, standby);
    world.server.pause();
    const start = performance.now();
    const since = () => Math.round(performance.now() - start);
    const told = aborted(lease.signal).then((reason) => ({ reason, at: since() }));
    await promote(standby);
    await using b = await getCoordinator(standby.url, options);
    const next = await b.lock("l").acquire();
    const granted = since();
    const { reason, at } = await told;
    console.log(
      `postgresql: silent at 0, ttl 6000 ms, granted on the standby after ${granted} ms, signal after ${at} ms`,
    );
    assert.ok(reason instanceof LockLostError);
    assert.ok(next.token > lease.token);
    assert.equal(await next.isHeld(), true);
    await world.server.kill();
  },
);

test(
  "a primary whose synchronous standby is away lets nothing hang, and costs no hold",
  OPTIONS,
  async () => {
    await using pair = await startPostgresqlPair();
    const options = { ttl: 60_000, namespace: "test" };
    const backend = postgresql(pair.url, { timeout: 1_000 });
    await using a = await getCoordinator(backend, options);
    const held = await a.lock("held").acquire();
    const [standby] = await pair.followers();
    await standby?.kill();
    const [refused, late] = await within(
      Promise.all([
        failure(getCoordinator(backend, options)),
        // Most tokens are drawn without a commit.
        eventually(() => failure(a.lock(crypto.randomUUID()).acquire())),
      ]),
      "both are given up",
    );
    assert.ok(refused instanceof ConnectionError, String(refused));
    assert.match(refused.message, /refused.*gave no answer in time/i);
    assert.ok(late instanceof ConnectionError && /no answer within 1000 ms/.test(late.message), String(late));
    assert.equal(a.state, "suspended");
    await pair.leader();
    await eventually(() => a.state === "connected");
    assert.equal(await held.isHeld(), true);
    await using b = await getCoordinator(backend, options);
    assert.equal(await b.lock("held").tryAcquire(), undefined);
    await held.release();
    assert.ok(await b.lock("held").acquire());
  },
);

test("where no host can be used, it is said of each why", OPTIONS, async () => {
  await using world = await startWorld();
  await using standby = await startPostgresql({ primary: () => world.server.port });
  await world.server.kill();
  const error = await failure(world.open("a", { from: urlOf(world.server, standby) }));
  assert.ok(error instanceof ConnectionError);
  const [dead, alive] = [world.server, standby].map(({ port }) => `"127\\.0\\.0\\.1:${port}"`);
  assert.match(error.message, new RegExp(`${dead}: .*refused.*; ${alive}: .*read-only standby`, "i"));
});
