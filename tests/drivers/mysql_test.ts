import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ConnectionError, LockLostError } from "../../core/errors.ts";
import type { Opener } from "../../driver.ts";
import { mysql } from "../../drivers/mysql.ts";
import { TABLES } from "../../drivers/mysql/schema.ts";
import { sql } from "../../drivers/mysql/sql.ts";
import { takeStatement } from "../../drivers/mysql/taking.ts";
import { getCoordinator } from "../../mod.ts";
import { aborted, eventually, failure, within } from "../conformance/waiting.ts";
import { collectGarbage } from "../processes/garbage.ts";
import { PRODUCTS, World } from "./mysql_world.ts";

/** The connection that waits for a lock somebody holds. */
const WAITS = "select id from information_schema.processlist where user = 'coord' and state = 'User lock'";

test("mysql() refuses what it cannot use, without credentials in the message", () => {
  const refused: [string, RegExp][] = [
    ["http://x", /want scheme "mysql:"/],
    ["mysql://u:secret@a,b/db", /want one host/],
    ["mysql://u:secret@a/db/more", /one database/],
    ["mysql://a?maxwaiting=1", /did you mean "maxWaiting"/],
    ["mysql://a?maxWaiting=0", /want a whole number from 1/],
    ["mysql://a?tls=yes", /want true or false/],
  ];
  for (const [url, message] of refused) {
    assert.throws(
      () => mysql(url),
      (error: Error) => message.test(error.message) && !/secret/.test(error.message),
    );
  }
  assert.throws(() => mysql("mysql://a", { maxWaiting: 1.5 }), RangeError);
  for (const scheme of ["mysql", "mariadb"]) {
    const { defaults, driver } = mysql(`${scheme}://a:1/db?ttl=5000&namespace=jobs`) as Opener;
    assert.deepEqual({ defaults, driver }, { defaults: { ttl: 5000, namespace: "jobs" }, driver: "mysql" });
  }
});

test("the page prints the tables as they are made", () => {
  const page = readFileSync(new URL("../../docs/drivers/mysql.md", import.meta.url), "utf8");
  const printed = [...page.matchAll(/^```sql\n(create table.*?)```$/gms)].map(([, text]) => text).join("");
  assert.equal(printed.trim(), Object.values(TABLES).map((table) => `${table};`).join("\n"));
});

for (const { name, isHere, start } of PRODUCTS) {
  const OPTIONS = { skip: !isHere, timeout: 120_000 };
  /** An error of connecting with this URL. */
  const refusal = async (url: string, options = {}) => {
    const error = await within(failure(getCoordinator(mysql(url, options), { ttl: 6_000 })), "it is refused");
    assert.ok(error instanceof ConnectionError, String(error));
    assert.doesNotMatch(error.message, /secret/);
    return error.message;
  };

  test(`${name}: what keeps a user out is said clearly`, OPTIONS, async () => {
    await using world = await World.start(start);
    const at = `127.0.0.1:${world.server.port}`;
    await world.admin.query(
      "create database vacant; create user reader@'%' identified by 'secret'; grant select on vacant.* to reader@'%'",
    );
    assert.match(await refusal(`mysql://coord@${at}/nowhere`), /may not use the database/);
    assert.match(await refusal(`mysql://admin@${at}/nowhere`), /the database does not exist/);
    assert.match(
      await refusal(`mysql://coord:secret@${at}/coord`),
      /the server refuses the user: the password is wrong/,
    );
    assert.match(await refusal(`mysql://reader:secret@${at}/vacant`), /CREATE once/);
  });

  test(`${name}: a user without CREATE works on tables that are there`, OPTIONS, async () => {
    await using world = await World.start(start);
    for (const table of Object.values(TABLES)) await world.admin.query(`use coord; ${table}`);
    await world.admin.query("revoke create on coord.* from coord@'%'");
    const coord = await world.open();
    assert.equal(await coord.lock("l").use(() => "done"), "done");
  });

  test(`${name}: a server that is read-only says so`, OPTIONS, async () => {
    await using world = await World.start(start);
    await (await world.open()).close();
    await world.admin.query("set global read_only = 1");
    assert.match(await refusal(world.url), /read-only/);
  });

  test(`${name}: more waits than maxWaiting are refused with what to do`, OPTIONS, async () => {
    await using world = await World.start(start);
    const [holder, waiter] = [await world.open(), await world.open({}, { maxWaiting: 1 })];
    const [one] = [await holder.lock("a").acquire(), await holder.lock("b").acquire()];
    const waiting = waiter.lock("a").acquire();
    await eventually(async () => await world.count("tooz_wait") === 1);
    await assert.rejects(waiter.lock("b").acquire(), /maxWaiting/);
    await one.release();
    assert.ok(await within(waiting, "the first is granted"));
  });

  test(`${name}: low time-outs of the administrator break nothing`, OPTIONS, async () => {
    const variables = ["wait_timeout", "interactive_timeout", "lock_wait_timeout", "net_read_timeout"];
    const limit = name === "MariaDB" ? "max_statement_time" : "max_execution_time";
    await using world = await World.start(start);
    await world.admin.query(
      [...variables, limit].map((variable) => `set global ${variable} = 1`).join("; ") +
        "; set global sql_mode = 'ANSI,NO_BACKSLASH_ESCAPES'",
    );
    const [holder, waiter] = [await world.open(), await world.open()];
    const lease = await holder.lock("l'\\").acquire();
    await using watch = await waiter.group("g").watch().catch(async () => {
      await waiter.group("g").create();
      return await waiter.group("g").watch();
    });
    const waiting = waiter.lock("l'\\").acquire();
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    assert.equal(lease.signal.aborted, false);
    assert.equal(await lease.release(), true);
    assert.ok(await within(waiting, "it has waited on"));
    assert.equal(watch.fresh, true);
  });

  test(`${name}: 500 locks at once take 2 connections`, OPTIONS, async () => {
    await using world = await World.start(start);
    const coord = await world.open();
    const taking = Array.from({ length: 500 }, (_, i) => coord.lock(`held-${i}`).acquire());
    const leases = await within(Promise.all(taking), "all are held", 60_000);
    const connections = (await world.connections()).length;
    console.log(`${name}: ${leases.length} leases at once, ${connections} connections`);
    assert.ok(connections <= 2, `${connections} connections`);
    await Promise.all(leases.map((lease) => lease.release()));
  });

  test(
    `${name}: 10,000 names, one after the other, leave nothing in tables, connections or memory`,
    OPTIONS,
    async () => {
      await using world = await World.start(start);
      const coord = await world.open();
      const measure = async () => {
        const { tooz_hold: holds = NaN, ...rows } = await world.rows();
        return { holds, rows, connections: (await world.connections()).length };
      };
      for (let i = 0; i < 1_000; i++) await coord.lock(`warm-up-${i}`).use(() => {});
      const [before, heap] = [await measure(), collectGarbage()];
      for (let i = 0; i < 10_000; i++) await coord.lock(`name-${i}`).use(() => {});
      const [after, grown] = [await measure(), collectGarbage() - heap];
      console.log(
        `${name}: 10,000 names: ${JSON.stringify(after)}, heap ${Math.round(grown / 1024)} KiB more`,
      );
      assert.deepEqual([after.rows, after.connections], [before.rows, before.connections]);
      assert.ok(after.connections <= 2);
      assert.ok(after.holds <= 64, "what was given back is removed in batches");
      for (const table of ["tooz_wait", "tooz_session", "tooz_group", "tooz_member"]) {
        assert.equal(after.rows[table], 0, table);
      }
      assert.ok(grown < 2 * 1024 ** 2, `${grown} bytes more`);
      await coord.close();
      for (const [table, count] of Object.entries(await world.rows())) assert.equal(count, 0, table);
    },
  );

  test(
    `${name}: a connection that an operator kills is a session lost, and signalled at once`,
    OPTIONS,
    async () => {
      await using world = await World.start(start);
      const [holder, next] = [await world.open(), await world.open()];
      const before = await world.connections();
      const lease = await holder.lock("l").acquire();
      const waiting = next.lock("l").acquire();
      await eventually(async () => await world.count("tooz_wait") === 1);
      // The first that was made is the holder's own.
      await world.admin.query(`kill ${Math.min(...before)}`);
      assert.ok(await aborted(lease.signal) instanceof LockLostError);
      assert.ok((await within(waiting, "the next has it")).token > lease.token);
      assert.ok(await within(holder.lock("m").acquire(), "the next session works"));
    },
  );

  test(`${name}: a wait whose connection is killed says so, and leaves nothing`, OPTIONS, async () => {
    await using world = await World.start(start);
    const [holder, waiter] = [await world.open(), await world.open()];
    const lease = await holder.lock("l").acquire();
    const failed = failure(waiter.lock("l").acquire());
    await eventually(async () => await world.count("tooz_wait") === 1);
    const waits = "select id from information_schema.processlist where id <> connection_id() " +
      "and info like '%get_lock(%tooz.h%release_lock(%'";
    await world.admin.query(`kill ${await eventually(() => world.ask(waits))}`);
    assert.ok(await within(failed, "the wait ends") instanceof ConnectionError);
    await eventually(async () => await world.count("tooz_wait") === 0);
    assert.equal(await lease.release(), true);
    assert.ok(await waiter.lock("l").tryAcquire());
  });

  test(`${name}: who waits is seen, also when a deadlock ended its entry`, OPTIONS, async () => {
    await using world = await World.start(start);
    const [holder, waiter] = [await world.open(), await world.open()];
    const lease = await holder.lock("l").acquire();
    // The server ends the transaction that has changed less.
    await world.admin.query(
      `create table coord.ballast (n int) engine = InnoDB; start transaction;
      insert into coord.ballast values (1), (2), (3), (4), (5);
      select id from coord.tooz_wait force index (attempt) where attempt = 'none' for update`,
    );
    const waiting = waiter.lock("l").acquire();
    await eventually(() =>
      world.ask("select 1 from information_schema.innodb_trx where trx_state = 'LOCK WAIT'")
    );
    await world.admin.query("select id from coord.tooz_wait force index (primary) for update; rollback");
    await eventually(async () => await world.count("tooz_wait") === 1);
    assert.equal(await lease.release(), true);
    assert.ok((await within(waiting, "the waiter has it")).token > lease.token);
  });

  test(
    `${name}: data that are too large are refused at once, and nothing else suffers`,
    OPTIONS,
    async () => {
      await using world = await World.start(start);
      await world.admin.query("set global max_allowed_packet = 1048576");
      const coord = await world.open();
      const lease = await coord.lock("l").acquire();
      await coord.group("g").create();
      await assert.rejects(coord.group("g").join("x".repeat(2_000_000)), /max_allowed_packet/);
      assert.equal(await lease.isHeld(), true);
    },
  );

  test(
    `${name}: who takes a lock sees what was written before it was free, and nothing older`,
    OPTIONS,
    async () => {
      await using world = await World.start(start);
      await (await world.open()).close();
      const connection = await world.connect();
      const wanted = { base: "b", generation: 0n, h: "tooz.h.b.0", held: "tooz.h.b.0" };
      const taking = { attempt: "a", mode: "exclusive", value: "", isHead: false } as const;
      const take = takeStatement(taking, wanted, { session: "s", memberId: "m" }, 600);
      const broken = "insert into coord.tooz_hold values (null, 'b', 'g', 1, '-', '-', '', '', '', 0)";
      const mended = "delete from coord.tooz_hold where mode = 'g'";
      for (const [before, after, granted] of [[mended, broken, 0], [broken, mended, 1]] as const) {
        await world.admin.query(`${before}; do get_lock('tooz.h.b.0', 0)`);
        const taken = connection.execute(take);
        await eventually(() => world.ask(WAITS));
        await world.admin.query(`${after}; do release_lock('tooz.h.b.0')`);
        assert.equal((await within(taken, "the statement ends")).affected, granted);
        await connection.ask(sql`select release_all_locks()`);
      }
      connection.destroy();
    },
  );

  test(`${name}: of a writer and a reader that try at once one has the lock`, OPTIONS, async () => {
    await using world = await World.start(start);
    const [one, two] = [await world.open(), await world.open()];
    for (let i = 0; i < 300; i++) {
      const [writer, reader] = await Promise.all([
        one.lock("race").tryAcquire(),
        two.lock("race").tryAcquire({ mode: "shared" }),
      ]);
      assert.ok(!writer !== !reader, `round ${i}: ${writer?.token} and ${reader?.token}`);
      await Promise.all([writer?.release(), reader?.release()]);
    }
  });

  test(`${name}: readers that try at once do not keep one another out`, OPTIONS, async () => {
    await using world = await World.start(start);
    const coords = await Promise.all([1, 2, 3, 4].map(() => world.open()));
    for (let i = 0; i < 50; i++) {
      const leases = await Promise.all(coords.map((one) => one.lock("l").tryAcquire({ mode: "shared" })));
      assert.ok(leases.every((lease) => lease !== undefined), `round ${i}`);
      await Promise.all(leases.map((lease) => lease?.release()));
    }
  });

  test(`${name}: mysql: and mariadb: are both its schemes [C32]`, OPTIONS, async () => {
    await using world = await World.start(start);
    for (const scheme of ["mysql:", "mariadb:"]) {
      await using coord = await getCoordinator(world.url.replace("mysql:", scheme));
      assert.equal(coord.driver, "mysql");
      await coord.lock("l").use(() => {});
    }
  });

  test(
    `${name}: a Unix socket is reached by the URL's option, and by an option in code`,
    OPTIONS,
    async () => {
      await using world = await World.start(start);
      const socketPath = join(world.server.dir, "socket");
      const nowhere = world.url.replace(/:\d+\//, ":1/");
      for (const backend of [mysql(nowhere, { socketPath }), mysql(`${nowhere}?socketPath=${socketPath}`)]) {
        await using one = await getCoordinator(backend);
        await using two = await getCoordinator(backend);
        const lease = await one.lock("l").acquire();
        const next = two.lock("l").acquire();
        assert.equal(await lease.release(), true);
        assert.ok((await within(next, "the next has it")).token > lease.token);
      }
      assert.match(await refusal(nowhere), /127\.0\.0\.1:1|ECONNREFUSED/);
    },
  );

  test(`${name}: TLS is used when it is asked for, and refuses whom nobody vouches for`, {
    ...OPTIONS,
    // Only MySQL makes itself a certificate.
    skip: !isHere || name !== "MySQL",
  }, async () => {
    await using world = await World.start(start);
    await world.admin.query("set global require_secure_transport = 1");
    assert.match(await refusal(world.url), /insecure transport|secure/i);
    assert.match(await refusal(world.url, { tls: { servername: "localhost" } }), /authority is not known/);
    assert.throws(() => mysql(world.url, { tls: true }), /verifies names only/);
    const coord = await world.open({}, { tls: { rejectUnauthorized: false } });
    assert.equal(await coord.lock("l").use(() => "done"), "done");
  });
}
