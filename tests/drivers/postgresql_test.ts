// How the driver meets databases as administrators set them up.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Pool } from "pg";
import { ConnectionError } from "../../core/errors.ts";
import { postgresql, type PostgresqlOptions, postgresqlSchema } from "../../drivers/postgresql.ts";
import { getCoordinator } from "../../mod.ts";
import { findBinary } from "../servers/binaries.ts";
import { startPgbouncer } from "../servers/pgbouncer.ts";
import { startPostgresql } from "../servers/postgresql.ts";
import { OPTIONS, startWorld, until } from "./postgresql_world.ts";

/** Fails unless it rejects with a `ConnectionError` that says this. */
async function refused(promise: Promise<unknown>, says: RegExp): Promise<ConnectionError> {
  const error: unknown = await promise.then(() => undefined, (reason: unknown) => reason);
  assert.ok(error instanceof ConnectionError, String(error));
  assert.match(error.message, says);
  return error;
}

test("open() by a user without rights says what to run, and works once that was run", OPTIONS, async () => {
  await using world = await startWorld();
  await world.client.query(`create role "little ""one"""  login`);
  const from = `postgresql://little%20%22one%22@127.0.0.1:${world.server.port}/postgres`;
  await refused(
    world.open("a", { from }),
    /user "little "one"" may not make or use schema "tooz".*postgresqlSchema\(/,
  );
  await world.client.query(postgresqlSchema('little "one"'));
  const [a, b] = [await world.open("a", { from }), await world.open("b", { from })];
  await using _c = { [Symbol.asyncDispose]: () => a.close() };
  const [held, waiting] = [await a.take("l"), b.take("l")];
  await until(async () => (await a.locks.entries({ kind: "lock", name: "l" })).length === 2, "it waits");
  assert.equal(await a.locks.break({ kind: "lock", name: "l" }), true);
  assert.ok((await waiting).token > held.token);
  await a.groups.create("g");
  await a.groups.join("g", { presence: "p", data: "{}", replace: false });
  assert.deepEqual([...(await b.groups.members("g")).members.keys()], ["a"]);
  const leader = await a.take("e", { kind: "election", value: "x" });
  assert.equal(await leader.update("y"), true);
});

test("open() on a schema that one may not use says what to run", OPTIONS, async () => {
  await using world = await startWorld();
  await (await world.open()).close();
  await world.client.query("create role stranger login");
  const from = world.server.url.replace("postgres@", "stranger@");
  await refused(world.open("a", { from }), /user "stranger" may not make or use schema "tooz"/);
});

test("open() on a standby, and where writing is forbidden, says so", OPTIONS, async () => {
  await using world = await startWorld();
  await (await world.open()).close();
  await using standby = await startPostgresql({ primary: () => world.server.port });
  await refused(world.open("a", { from: standby.url }), /read-only standby; connect to the primary/);
  const both = `postgresql://postgres@127.0.0.1:${standby.port},127.0.0.1:${world.server.port}/postgres`;
  assert.equal((await (await world.open("a", { from: both })).take("l")).lost.aborted, false);
  await world.client.query(
    "create role reader login; alter role reader set default_transaction_read_only = on",
  );
  const from = world.server.url.replace("postgres@", "reader@");
  await refused(world.open("a", { from }), /read-only for user "reader"/);
});

test("open() with a wrong database, password or port says which", OPTIONS, async () => {
  await using world = await startWorld({ password: "right" });
  const { url } = world.server;
  await refused(
    world.open("a", { from: url.replace(/postgres$/, "nowhere") }),
    /database "nowhere" does not exist/,
  );
  const error = await refused(
    world.open("a", { from: url.replace("right", "wrong") }),
    /authentication failed/,
  );
  assert.doesNotMatch(`${error.message} ${error.cause}`, /wrong/);
  await refused(world.open("a", { from: "postgresql://127.0.0.1:9/postgres" }), /refused|127\.0\.0\.1:9/);
});

for (const mode of ["transaction", "session", "statement"] as const) {
  const skip = OPTIONS.skip || !findBinary("pgbouncer");
  test(`open() through PgBouncer in ${mode} mode is refused`, { ...OPTIONS, skip }, async () => {
    await using world = await startWorld();
    await using bouncer = await startPgbouncer(world.server, mode);
    await refused(world.open("a", { from: bouncer.url }), /pooler such as PgBouncer/);
  });
}

test("limits that an administrator has set low do not end what holds or waits", OPTIONS, async () => {
  await using world = await startWorld({
    settings: [
      "statement_timeout=300",
      "lock_timeout=100",
      "idle_in_transaction_session_timeout=100",
      "idle_session_timeout=500",
      "default_transaction_isolation=serializable",
      "search_path=nowhere",
      "synchronous_commit=off",
    ],
  });
  const [a, b] = [await world.open("a"), await world.open("b")];
  const held = await a.take("l");
  const waiting = b.take("l");
  await a.take("e", { kind: "election" });
  await sleep(1_500);
  assert.deepEqual([a.lost.aborted, b.lost.aborted, await held.check()], [false, false, true]);
  await held.release();
  assert.ok((await waiting).token > held.token);
});

test("many that start at once on a new database all start", OPTIONS, async () => {
  await using world = await startWorld();
  const parties = await Promise.all(Array.from({ length: 12 }, (_, i) => world.open(`member-${i}`)));
  const grants = await Promise.all(parties.map((party, i) => party.take(`lock-${i}`)));
  assert.equal(new Set(grants.map(({ token }) => token)).size, 12);
});

test("a Unix socket is reached by the URL's option, and by an option in code", OPTIONS, async () => {
  await using world = await startWorld();
  const { dir, port } = world.server;
  for (
    const from of [
      `postgresql://postgres@localhost:${port}/postgres?host=${dir}`,
      `postgres://postgres@localhost:${port}/postgres`,
    ]
  ) {
    const party = await world.open("a", { from, driver: { host: dir } });
    assert.ok(await party.take("l"));
    await party.close();
  }
});

test("options that are the pool's are refused beside one", async () => {
  const pool = new Pool();
  const odd: [PostgresqlOptions, string][] = [[{ user: "jobs" }, "user"], [
    { sslmode: "require" },
    "sslmode",
  ]];
  for (const [options, name] of odd) {
    const message = `Cannot use option "${name}" of postgresql with a pool: set it where the pool is made`;
    assert.throws(() => postgresql(pool, options), { name: "TypeError", message });
  }
  assert.ok(postgresql(pool, { maxWaiting: 2, timeout: 1_000 }));
  await pool.end();
});

test("a pool of the application gives all connections, and gets none of them back", OPTIONS, async () => {
  await using world = await startWorld();
  const pool = new Pool({ connectionString: world.server.url, max: 5 });
  pool.on("error", () => {}); // Idle clients of the pool are none of ours.
  const [a, b] = [await world.open("a", { from: pool }), await world.open("b", { from: pool })];
  const [held, waiting] = [await a.take("l"), b.take("l")];
  await until(async () => (await a.locks.entries({ kind: "lock", name: "l" })).length === 2, "it waits");
  assert.equal(pool.totalCount, 3);
  await held.release();
  assert.ok((await waiting).token > held.token);
  await Promise.all([a.close(), b.close()]);
  await until(() => pool.totalCount === 0, "the pool has none of them");
  await pool.end();
});

test("postgres: and postgresql: are both its schemes [C31]", OPTIONS, async () => {
  await using world = await startWorld();
  for (const scheme of ["postgres:", "postgresql:"]) {
    await using coord = await getCoordinator(world.server.url.replace("postgresql:", scheme));
    assert.equal(coord.driver, "postgresql");
  }
});

test("the page names every object that the driver makes, and no other", OPTIONS, async () => {
  await using world = await startWorld();
  await (await world.open()).close();
  const made = await world.value<string[]>(
    `select array_agg(name order by name) from (
      select relname::text as name from pg_class where relnamespace = 'tooz'::regnamespace and relkind in ('r', 'v', 'S')
        and relname <> 'groups_number_seq'
      union select proname::text from pg_proc where pronamespace = 'tooz'::regnamespace
    ) made`,
  );
  const page = readFileSync(new URL("../../docs/drivers/postgresql.md", import.meta.url), "utf8");
  const table = page.slice(page.indexOf("<!-- objects -->"), page.indexOf("## What it promises"));
  const named = new Set([...table.matchAll(/`tooz\.(\w+)`/g)].map(([, name]) => name));
  assert.deepEqual([...named].sort(), [...made].sort());
});
