// Connections that come from a pool of the application, whatever that is made for.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createPool, createPoolCluster, type PoolOptions } from "mysql2";
import { createPool as createPromisePool } from "mysql2/promise";
import { ConnectionError, LockLostError } from "../../core/errors.ts";
import { mysql, type MysqlOptions, type MysqlPool, type MysqlPromisePool } from "../../drivers/mysql.ts";
import { getCoordinator } from "../../mod.ts";
import { aborted, eventually, failure, within } from "../conformance/waiting.ts";
import { freePort } from "../servers/ports.ts";
import { PRODUCTS, World } from "./mysql_world.ts";

const ttl = 20_000;
/** A wrong charset, or a statement that is changed on its way, would change it. */
const TEXT = "aß€😀'\\\":a?\0";

/** Uses locks, a group and an election of two. */
async function use(pool: MysqlPool | MysqlPromisePool): Promise<void> {
  const backend = mysql(pool);
  await using one = await getCoordinator(backend, { ttl, memberId: TEXT.slice(0, -1) });
  await using two = await getCoordinator(backend, { ttl });
  const lease = await one.lock("ä").acquire();
  const waiting = two.lock("ä").acquire();
  await eventually(async () => (await one.lock("ä").holders()).length === 1);
  await lease.release();
  assert.ok((await within(waiting, "it is handed over")).token > lease.token);
  await one.group("g€").join({ TEXT }, { create: true });
  const members = await two.group("g€").members();
  assert.deepEqual([...members.values()].map(({ id, capabilities }) => [id, capabilities]), [[one.memberId, {
    TEXT,
  }]]);
  const leadership = await one.election("e").campaign({ value: TEXT });
  assert.equal((await two.election("e").leader())?.value, TEXT);
  await leadership.proclaim(TEXT + TEXT);
  assert.equal((await two.election("e").leader())?.value, TEXT + TEXT);
  await one.group("g€").leave();
  await one.group("g€").delete();
}

/** What an application may have set for its own sake. */
const ODD: readonly PoolOptions[] = [
  {},
  { charset: "latin1_swedish_ci" },
  { charset: "utf8_general_ci" },
  { flags: ["-FOUND_ROWS", "-SESSION_TRACK", "-IGNORE_SPACE"] },
  { rowsAsArray: true, nestTables: "_", typeCast: false, namedPlaceholders: true, dateStrings: true },
  { supportBigNumbers: false, decimalNumbers: true, timezone: "+05:00", disableEval: true },
  { bigNumberStrings: true, supportBigNumbers: true, jsonStrings: true },
];

test("mysql() refuses what is no pool of one server, and options that are the pool's", () => {
  const cluster = createPoolCluster();
  assert.throws(() => mysql(cluster as unknown as MysqlPool), /of one server/);
  assert.throws(() => mysql({} as MysqlPool), /want what createPool/);
  const pool = createPool({});
  assert.throws(() => mysql(pool, { user: "jobs" }), /option "user" of mysql with a pool: set it where/);
  assert.throws(() => mysql(pool, { maxwaiting: 1 } as object), /did you mean "maxWaiting"/);
  pool.end();
});

for (const { name, isHere, start } of PRODUCTS) {
  const OPTIONS = { skip: !isHere, timeout: 120_000 };
  const settings = (world: World, more: PoolOptions = {}): PoolOptions => ({
    host: "127.0.0.1",
    port: world.server.port,
    user: "coord",
    database: "coord",
    multipleStatements: true,
    ...more,
  });
  /** The error of connecting with a pool. */
  const refusal = async (pool: MysqlPool | MysqlPromisePool, options: MysqlOptions = {}) => {
    const error = await within(failure(getCoordinator(mysql(pool, options), { ttl })), "it is refused");
    assert.ok(error instanceof ConnectionError, String(error));
    return error.message;
  };

  test(`${name}: a pool gives all connections, however it is made, and gets none back`, OPTIONS, async () => {
    await using world = await World.start(start);
    for (const odd of ODD) {
      const pool = createPool(settings(world, odd));
      await use(pool).catch((cause: unknown) => {
        throw new Error(`Cannot use a pool with ${JSON.stringify(odd)}`, { cause });
      });
      await eventually(async () => (await world.connections()).length === 0);
      await pool.promise().end();
    }
    const pool = createPromisePool(settings(world));
    await use(pool);
    await pool.end();
  });

  test(`${name}: a pool that cannot be used says what to set where it is made`, OPTIONS, async () => {
    await using world = await World.start(start);
    const refused: readonly [PoolOptions, RegExp][] = [
      [{ multipleStatements: false }, /make it with multipleStatements: true/],
      [{ charset: "latin1_swedish_ci", flags: ["-SESSION_TRACK"] }, /make it with charset: "utf8mb4"/],
      [{ typeCast: (field, next) => field.type === "TINY" || next() }, /typeCast of its own/],
      [{ queryFormat: (text: string) => text } as PoolOptions, /queryFormat of its own/],
      [{ user: "admin", database: "" }, /the pool has no database: say "database"/],
      [{ database: "nowhere", user: "admin" }, /the database does not exist/],
      [{ port: await freePort() }, /refused/i],
    ];
    for (const [odd, says] of refused) {
      const pool = createPool(settings(world, odd));
      assert.match(await refusal(pool), says);
      await pool.promise().end();
    }
    await eventually(async () => (await world.connections()).length === 0);
  });

  test(`${name}: a pool that is exhausted, or ended, is said within the deadline`, OPTIONS, async () => {
    await using world = await World.start(start);
    const pool = createPromisePool(settings(world, { connectionLimit: 1 }));
    const taken = await pool.getConnection();
    assert.match(await refusal(pool, { timeout: 1_000 }), /within \d+ ms; raise its connectionLimit/);
    taken.release();
    await within(pool.query("select 1"), "what came too late went back");
    // One for the session, and one that listens.
    const small = createPromisePool(settings(world, { connectionLimit: 2 }));
    await using holder = await world.open({ ttl });
    await using waiter = await getCoordinator(mysql(small, { timeout: 1_000 }), { ttl });
    const [lease, other] = [await holder.lock("l").acquire(), await waiter.lock("other").acquire()];
    const error = await within(failure(waiter.lock("l").acquire()), "the wait is refused");
    assert.ok(
      error instanceof ConnectionError && /raise its connectionLimit/.test(error.message),
      String(error),
    );
    assert.deepEqual([await lease.release(), await other.release()], [true, true]);
    await pool.end();
    assert.match(await refusal(pool), /Pool is closed/);
    await waiter.close();
    await small.end();
  });

  test(`${name}: what was done on a pool's connections before changes nothing`, OPTIONS, async () => {
    await using world = await World.start(start);
    await world.admin.query("create database other; grant all on other.* to coord@'%'");
    const pool = createPromisePool(settings(world, { connectionLimit: 4 }));
    await world.admin.query("create table other.t (i int); create table other.u (i int)");
    const used = await Promise.all([1, 2, 3, 4].map(() => pool.getConnection()));
    for (const [i, one] of used.entries()) {
      await one.query(
        "set sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES', autocommit = 0, time_zone = '+05:00'",
      );
      await one.query("use other");
      await one.query(i % 2 ? "lock tables u read" : "start transaction; insert into t values (1)");
    }
    for (const one of used) one.release();
    const backend = mysql(pool);
    await using one = await getCoordinator(backend, { ttl });
    await using two = await getCoordinator(mysql(world.url), { ttl });
    const lease = await one.lock(TEXT.slice(0, -1)).acquire();
    assert.equal(await two.lock(TEXT.slice(0, -1)).tryAcquire(), undefined);
    await one.group("g").join({ TEXT }, { create: true });
    assert.deepEqual((await two.group("g").member(one.memberId)).capabilities, { TEXT });
    assert.equal(Number(await world.ask("select count(*) from other.t")), 0);
    assert.equal(await lease.release(), true);
    await one.close();
    await pool.end();
  });

  test(
    `${name}: a session on a pool's connection is lost with it, and replaced by another`,
    OPTIONS,
    async () => {
      await using world = await World.start(start);
      const pool = createPromisePool(settings(world, { database: "" }));
      await using coord = await getCoordinator(mysql(pool, { database: "coord" }), { ttl });
      await world.admin.query("alter table coord.tooz_hold auto_increment = 9007199254740993");
      const lease = await coord.lock("l").acquire();
      assert.equal(lease.token, 9007199254740993n);
      for (const id of await world.connections()) await world.admin.query(`kill ${id}`).catch(() => {}); // It went with another.
      assert.ok(await aborted(lease.signal) instanceof LockLostError);
      const next = await eventually(() => coord.lock("l").acquire());
      assert.equal(next.token, 9007199254740994n);
      await coord.close();
      await pool.end();
    },
  );
}
