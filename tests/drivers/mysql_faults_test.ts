import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createPool } from "mysql2";
import { ConnectionError, LockBrokenError, LockLostError } from "../../core/errors.ts";
import { aborted, eventually, failure, within } from "../conformance/waiting.ts";
import { commandFor, currentRuntime } from "../processes/runtimes.ts";
import { DeafWay } from "../servers/deaf_way.ts";
import { startProxy } from "../servers/proxy.ts";
import { mysql } from "../../drivers/mysql.ts";
import { getCoordinator, type Lease } from "../../mod.ts";
import { adminOf, PRODUCTS, World } from "./mysql_world.ts";
import { openOn } from "./party.ts";

/** In ms; a session that dies is noticed long before. */
const TTL = 30_000;

for (const { name, isHere, start } of PRODUCTS) {
  const OPTIONS = { skip: !isHere, timeout: 180_000 };

  test(
    `${name}: a connection that swallows everything is signalled before the server gives it up`,
    OPTIONS,
    async () => {
      await using world = await World.start(start);
      await using proxy = await startProxy(world.server.port);
      const ttl = 3_000;
      const [one, two] = [
        await getCoordinator(mysql(world.server.urlAt(proxy.port)), { ttl }),
        await world.open({ ttl: TTL }),
      ];
      try {
        const lease = await one.lock("l").acquire();
        const waiting = two.lock("l").acquire();
        await eventually(async () => await world.count("tooz_wait") === 1);
        proxy.blackHole();
        const cut = performance.now();
        const events: string[] = [];
        const happened = (what: string) => {
          events.push(what);
          return Math.round(performance.now() - cut);
        };
        const signal = aborted(lease.signal, "it is signalled", 60_000)
          .then((reason) => ({ reason, at: happened("signal") }));
        const grant = within(waiting, "the server has given it up", 60_000)
          .then((next) => ({ next, at: happened("grant") }));
        const [lost, granted] = await Promise.all([signal, grant]);
        console.log(`${name}: ttl ${ttl} ms, signal after ${lost.at} ms, granted after ${granted.at} ms`);
        assert.deepEqual(events, ["signal", "grant"]);
        assert.ok(lost.reason instanceof LockLostError);
        assert.ok(granted.next.token > lease.token);
      } finally {
        await one.close();
      }
    },
  );

  test(
    `${name}: an end that only the server saw is signalled at the next contact, within a third of the ttl`,
    OPTIONS,
    async () => {
      await using world = await World.start(start);
      using way = await DeafWay.start(world.server.port);
      const ttl = 6_000;
      await using coord = await getCoordinator(mysql(world.server.urlAt(way.port)), { ttl });
      const lease = await coord.lock("l").acquire();
      const next = await world.open({ ttl: TTL });
      const waiting = next.lock("l").acquire();
      await eventually(async () => await world.count("tooz_wait") === 1);
      way.deafen();
      const killed = performance.now();
      // The first that was made is the holder's own.
      await world.admin.query(`kill ${Math.min(...await world.connections())}`);
      const granted = within(waiting, "the next has it");
      assert.ok(
        await aborted(lease.signal, "the next contact tells", ttl / 3 + 1_000) instanceof LockLostError,
      );
      const took = Math.round(performance.now() - killed);
      console.log(`${name}: signalled ${took} ms after an end that only the server saw, ttl ${ttl} ms`);
      assert.ok((await granted).token > lease.token);
    },
  );

  test(
    `${name}: a member whose connection has ended is none, though nobody has removed it`,
    OPTIONS,
    async () => {
      await using world = await World.start(start);
      // It waits for nobody: who does would notice, and remove what is dead.
      const observer = await world.open({ ttl: 600_000 });
      await observer.group("g").create();
      const before = await world.connections();
      const session = await world.session("mortal");
      const [own] = (await world.connections()).filter((id) => !before.includes(id)).sort((a, b) => a - b);
      await session.groups.join("g", { presence: "p", data: "{}", replace: false });
      assert.equal((await observer.group("g").members()).size, 1);
      await world.admin.query(`kill ${own}`);
      await aborted(session.lost);
      await eventually(async () => (await observer.group("g").members()).size === 0);
      assert.equal(await world.count("tooz_member"), 1);
      await observer.group("g").delete();
    },
  );

  test(`${name}: no ring is lost, however the listener is about to wait`, OPTIONS, async () => {
    await using world = await World.start(start);
    // Nobody looks by itself.
    const [one, two] = [await world.open({ ttl: 600_000 }), await world.open({ ttl: 600_000 })];
    await one.group("g").create();
    const membership = await one.group<number>("g").join(0);
    await using watch = await two.group<number>("g").watch();
    const events = watch[Symbol.asyncIterator]();
    for (let i = 1; i <= 300; i++) {
      if (i % 3 > 0) await sleep(Math.random() * 3);
      await membership.update(i);
      while (watch.members.get(one.memberId)?.capabilities !== i) {
        await within(events.next(), `update ${i} is heard`);
      }
    }
  });

  test(`${name}: break() is told at once, also while others break, wait and take`, OPTIONS, async () => {
    await using world = await World.start(start);
    const coords = await Promise.all([1, 2, 3].map(() => world.open({ ttl: 600_000 })));
    const [one, two, three] = coords;
    if (!one || !two || !three) return;
    let last = 0n;
    for (let i = 0; i < 30; i++) {
      const lease = await one.lock("l").acquire();
      assert.ok(lease.token > last);
      const waiting: Promise<Lease> = two.lock("l").acquire();
      await eventually(async () => await world.count("tooz_wait") === 1);
      assert.equal(await three.lock("l").break(), true);
      assert.ok(await aborted(lease.signal, "the holder is told") instanceof LockBrokenError);
      const next = await within(waiting, "the waiter has it");
      assert.ok(next.token > lease.token);
      assert.equal(await lease.release(), false);
      assert.equal(await next.isHeld(), true);
      last = next.token;
      assert.equal(await next.release(), true);
    }
  });

  test(`${name}: a break is not missed by who is about to wait for what was broken`, OPTIONS, async () => {
    await using world = await World.start(start);
    await using proxy = await startProxy(world.server.port);
    const { port } = world.server;
    const sockets: Socket[] = [];
    const stream = () => sockets[sockets.push(connect({ host: "127.0.0.1", port })) - 1];
    const pool = createPool({ user: "coord", database: "coord", multipleStatements: true, stream });
    const [late, away, first, other] = await Promise.all([
      getCoordinator(mysql(pool), { ttl: 600_000 }),
      getCoordinator(mysql(world.server.urlAt(proxy.port)), { ttl: 600_000 }),
      world.open({ ttl: 600_000 }),
      world.open({ ttl: 600_000 }),
    ]);
    try {
      const lease = await away.lock("l").acquire();
      const leaving = new AbortController();
      const given = failure(first.lock("l").acquire({ signal: leaving.signal }));
      await eventually(async () => await world.count("tooz_wait") === 1);
      const waiting = late.lock("l").acquire();
      await eventually(async () => await world.count("tooz_wait") === 2);
      // Its third connection waits for the turn: it hears that it has it, and what it says then is late.
      const [, , side] = sockets;
      side?.cork();
      leaving.abort();
      await given;
      await eventually(() => (side?.writableLength ?? 0) > 0);
      await sleep(200); // For whatever else it asks meanwhile.
      proxy.hold();
      assert.equal(await other.lock("l").break(), true);
      side?.uncork();
      assert.ok((await within(waiting, "the waiter has it")).token > lease.token);
    } finally {
      proxy.forward();
      await Promise.all([late.close(), away.close()]);
      pool.end();
    }
  });

  test(
    `${name}: a release that is repeated, as its answer came too late, gives no later hold back`,
    OPTIONS,
    async () => {
      await using world = await World.start(start);
      const [one, two] = await Promise.all([
        openOn(mysql(world.url), "one", { ttl: 600_000, timeout: 1_000 }),
        openOn(mysql(world.url), "two", { ttl: 600_000 }),
      ]);
      try {
        const first = await one.take("l");
        const waiting = one.take("l");
        await eventually(async () => await world.count("tooz_wait") === 1);
        world.server.pause();
        await assert.rejects(first.release(), ConnectionError);
        world.server.resume();
        const second = await within(waiting, "the lock was given back");
        assert.equal(await first.release(), true);
        assert.equal(await two.ask("l", { wait: false }), undefined);
        assert.equal(await second.release(), true);
      } finally {
        await Promise.all([one.close(), two.close()]);
      }
    },
  );

  test(`${name}: a release that an operator ends is made for certain, and once`, OPTIONS, async () => {
    await using world = await World.start(start);
    const one = await openOn(mysql(world.url), "one", { ttl: 600_000 });
    const session = Math.min(...await world.connections()); // Its own connection is made first.
    const two = await openOn(mysql(world.url), "two", { ttl: 600_000 });
    try {
      for (let i = 0; i < 60; i++) {
        const first = await one.take("l");
        const waiting = one.take("l");
        await eventually(async () => await world.count("tooz_wait") === 1);
        const kills = [1, 2, 3].map(() => world.admin.query(`kill query ${session}`));
        assert.equal(await first.release(), true);
        const second = await within(waiting, "the lock was given back");
        await Promise.all(kills);
        assert.equal(await first.release(), false);
        assert.equal(await two.ask("l", { wait: false }), undefined);
        assert.equal(await second.release(), true);
      }
    } finally {
      await Promise.all([one.close(), two.close()]);
    }
  });

  test(`${name}: a hold whose row an operator removes is lost with the next heartbeat`, OPTIONS, async () => {
    await using world = await World.start(start);
    const [one, two] = [await world.open({ ttl: 600_000 }), await world.open({ ttl: 600_000 })];
    for (const mode of ["shared", "exclusive"] as const) {
      const [lease, other] = [await one.lock("l").acquire({ mode }), await one.lock("other").acquire()];
      await world.admin.query(`delete from coord.tooz_hold where token = ${lease.token}`);
      await one.heartbeat();
      assert.ok(lease.signal.reason instanceof LockLostError, mode);
      assert.equal(other.signal.aborted, false);
      await using next = await within(two.lock("l").acquire(), "it is free");
      assert.ok(next.token > lease.token);
      await other.release();
    }
  });

  test(
    `${name}: nothing keeps the process alive after close(), though the server is stopped`,
    OPTIONS,
    async () => {
      await using world = await World.start(start);
      const [program = "", ...args] = commandFor(
        currentRuntime,
        new URL("./mysql_worker.ts", import.meta.url),
        [
          world.url,
        ],
      );
      const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
      try {
        let said = "";
        child.stdout.on("data", (chunk: Uint8Array) => said += new TextDecoder().decode(chunk));
        await eventually(() => said === "ready\n");
        await eventually(async () => await world.count("tooz_wait") === 1);
        world.server.pause();
        child.stdin.write("close");
        const [code] = await within(once(child, "exit"), "the process ends");
        assert.equal(code, 0);
        assert.equal(said, "ready\nclosed ClosedError\n");
      } finally {
        child.kill("SIGKILL");
        world.server.resume();
      }
    },
  );

  test(
    `${name}: a session that begins is present before it has a row, which others would remove`,
    OPTIONS,
    async () => {
      await using world = await World.start(start);
      await world.open({ ttl: TTL }); // The tables are there.
      const operator = await adminOf(world.server);
      try {
        await operator.query("set session transaction isolation level repeatable read");
        await operator.query("start transaction");
        // Nobody can enter a row here meanwhile.
        await operator.query("select * from coord.tooz_watch where topic = 'holds' for update");
        const opening = world.open({ ttl: TTL });
        const session = await eventually(async () => {
          const row = await world.ask(
            "select info from information_schema.processlist where info like 'insert into tooz_watch%'",
          );
          return /[0-9a-f]{32}/.exec(String(row))?.[0];
        });
        assert.notEqual(await world.ask(`select is_used_lock('tooz.s.${session}')`), null);
        await operator.query("rollback");
        await within(opening, "it is open");
      } finally {
        operator.destroy();
      }
    },
  );
}
