// What the driver makes of a server that has no room.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createPool } from "mysql2";
import { createConnection } from "mysql2/promise";
import { CapacityError, ConnectionError } from "../../core/errors.ts";
import { mysql } from "../../drivers/mysql.ts";
import { getCoordinator } from "../../mod.ts";
import { aborted, eventually, failure, within } from "../conformance/waiting.ts";
import { PRODUCTS, World } from "./mysql_world.ts";

/** Fails unless it rejects with a `CapacityError` that says this, of which the server's refusal is the cause. */
async function noRoom(promise: Promise<unknown>, says: RegExp, number: number): Promise<void> {
  const error = await within(failure(promise), "it is refused");
  assert.ok(error instanceof CapacityError, String(error));
  assert.match(error.message, says);
  assert.equal((error.cause as { errno?: number } | undefined)?.errno, number);
}

for (const { name, isHere, start } of PRODUCTS) {
  const OPTIONS = { skip: !isHere, timeout: 120_000 };
  /** A connection of the driver's user; undefined: the server refuses it. */
  const connect = ({ server: { port } }: World) =>
    createConnection({ host: "127.0.0.1", port, user: "coord" }).catch(() => undefined);

  test(`${name}: a full table of connections is told to who wants one more`, OPTIONS, async () => {
    await using world = await World.start(() => start({ args: ["--max-connections=10"] }));
    const holder = await world.open();
    const lease = await holder.lock("l").acquire();
    const crowd = [];
    for (let one; (one = await connect(world));) crowd.push(one);
    await noRoom(
      world.open(),
      /Cannot open a session on mysql: .*no connection left.*max_connections/,
      1040,
    );
    // Who has a connection goes on; who would need one more is told.
    assert.equal(await lease.isHeld(), true);
    assert.ok(await holder.lock("other").tryAcquire());
    const told = /Cannot open a connection to wait on.*no connection left.*max_connections/;
    await noRoom(holder.lock("l").acquire(), told, 1040);
    for (const one of crowd) one.destroy();
    assert.ok(await eventually(() => world.open()));
  });

  test(`${name}: what one user may have of connections is named with what raises it`, OPTIONS, async () => {
    await using world = await World.start(() => start({ args: ["--max-user-connections=2"] }));
    const holder = await world.open();
    const lease = await holder.lock("l").acquire();
    await eventually(async () => (await world.connections()).length === 2);
    await noRoom(world.open(), /the user has no connection left: raise its max_user_connections/, 1203);
    await noRoom(holder.lock("l").acquire(), /connection to wait on.*max_user_connections/, 1203);
    assert.equal(await lease.release(), true);
  });

  test(`${name}: a session lost while there is no connection is replaced later [S18]`, OPTIONS, async () => {
    await using world = await World.start(start);
    const coord = await world.open({ ttl: 3_000 });
    const lease = await coord.lock("l").acquire();
    await world.admin.query("alter user coord@'%' with max_connections_per_hour 1");
    for (let one; (one = await connect(world));) one.destroy();
    const used = /used up what the server allows it: raise its max_connections_per_hour \(ALTER USER\)/;
    await noRoom(world.open(), used, 1226);
    for (const id of await world.connections()) {
      await world.admin.query(`kill ${id}`).catch(() => {}); // One of the others, which has gone meanwhile.
    }
    await aborted(lease.signal);
    const error = await within(failure(coord.groups()), "it is told");
    assert.ok(error instanceof ConnectionError, String(error));
    assert.ok(error.cause instanceof CapacityError, String(error.cause));
    assert.equal(coord.state, "lost");
    await world.admin.query("alter user coord@'%' with max_connections_per_hour 0");
    await eventually(() => coord.state === "connected");
    assert.ok(await coord.lock("l").tryAcquire());
  });

  test(`${name}: a full table space is told to who needs room in it`, OPTIONS, async () => {
    const small = ["--innodb-file-per-table=0", "--innodb-data-file-path=ibdata1:12M"];
    await using world = await World.start(() => start({ args: small }));
    const [one, two] = [await world.open({ memberId: "one" }), await world.open({ memberId: "two" })];
    await one.group("g").create();
    const membership = await two.group("g").join({});
    const lease = await two.lock("l").acquire();
    const full = /The table 'tooz_member' is full: make room on the server's disk/;
    const large = await one.group("g").join("");
    const grow = async () => {
      for (let size = 0;; size += 500_000) await large.update("x".repeat(size));
    };
    await noRoom(grow(), full, 1114);
    assert.deepEqual([...(await one.group("g").members()).keys()].sort(), ["one", "two"]);
    assert.deepEqual([await lease.release(), await membership.leave()], [true, true]);
  });

  test(`${name}: a pool that makes nobody wait for a connection has no room`, OPTIONS, async () => {
    await using world = await World.start(start);
    const { port } = world.server;
    const settings = { host: "127.0.0.1", port, user: "coord", database: "coord", multipleStatements: true };
    const pool = createPool({ ...settings, connectionLimit: 2, waitForConnections: false });
    await using holder = await world.open();
    await using waiter = await getCoordinator(mysql(pool));
    const lease = await holder.lock("l").acquire();
    await eventually(async () => (await world.connections()).length === 4);
    const error = await within(failure(waiter.lock("l").acquire()), "it is refused");
    assert.ok(error instanceof CapacityError, String(error));
    assert.match(error.message, /the pool has no connection left: raise its connectionLimit/);
    assert.equal(await lease.release(), true);
    await waiter.close();
    await pool.promise().end();
  });
}
