// What the driver makes of a server that has no room.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { CapacityError, ConnectionError } from "../../core/errors.ts";
import { postgresqlSchema } from "../../drivers/postgresql.ts";
import { getCoordinator } from "../../mod.ts";
import { eventually, failure, within } from "../conformance/waiting.ts";
import { attempt, OPTIONS, startWorld } from "./postgresql_world.ts";

/** Fails unless it rejects with a `CapacityError` that says this, of which the server's refusal is the cause. */
async function noRoom(promise: Promise<unknown>, says: RegExp, code: string): Promise<void> {
  const error = await within(failure(promise), "it is refused");
  assert.ok(error instanceof CapacityError, String(error));
  assert.match(error.message, says);
  assert.equal((error.cause as { code?: string } | undefined)?.code, code);
}

test("a full table of connections is told to who wants one more, and nothing is lost", OPTIONS, async () => {
  await using world = await startWorld({
    settings: ["max_connections=6", "superuser_reserved_connections=0"],
  });
  const [a, b] = [await world.open("a"), await world.open("b")];
  const held = await a.take("l");
  await Promise.all([world.open("c"), world.open("d"), world.open("e")]);
  await noRoom(
    world.open("f"),
    /Cannot open a session on postgresql: .*too many clients.*; raise max_connections/,
    "53300",
  );
  await noRoom(
    b.locks.acquire(attempt("l")),
    /Cannot open a connection to wait on.*too many clients.*; raise max_connections/,
    "53300",
  );
  assert.equal(await held.check(), true);
  assert.equal(await held.release(), true);
  assert.ok(await b.take("l"));
});

test(
  "whichever limit on connections is reached, the error names it, and what raises it",
  OPTIONS,
  async () => {
    await using world = await startWorld({
      settings: ["max_connections=8", "superuser_reserved_connections=6"],
    });
    await (await world.open()).close();
    await world.client.query("create role few login connection limit 0");
    await world.client.query("create role plain login");
    await world.client.query("create database few connection limit 0");
    const as = (user: string, database = "postgres") => ({
      from: `postgresql://${user}@127.0.0.1:${world.server.port}/${database}`,
    });
    await noRoom(
      world.open("a", as("few")),
      /role "few"; raise its CONNECTION LIMIT \(ALTER ROLE\)/,
      "53300",
    );
    await noRoom(
      world.open("a", as("plain", "few")),
      /database "few"; raise its CONNECTION LIMIT \(ALTER DATABASE\)/,
      "53300",
    );
    await Promise.all([world.open("b"), world.open("c")]);
    await noRoom(
      world.open("a", as("plain")),
      /raise max_connections, or reserve fewer \(superuser_reserved_connections/,
      "53300",
    );
    // Of several hosts, one that has no room is not away.
    const from = `postgresql://plain@127.0.0.1:9,127.0.0.1:${world.server.port}/postgres`;
    await noRoom(world.open("a", { from }), /no host can be used; .*reserved/, "53300");
  },
);

test(
  "a session that is lost while the table is full is replaced once there is room [S18]",
  OPTIONS,
  async () => {
    await using world = await startWorld();
    await world.client.query("create role app login");
    await world.client.query(postgresqlSchema("app"));
    const url = world.server.url.replace("postgres@", "app@");
    await using coord = await getCoordinator(url, { ttl: 3_000 });
    const lease = await coord.lock("l").acquire();
    await world.client.query("alter role app connection limit 0");
    await world.value("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'");
    await eventually(() => lease.signal.aborted);
    const error = await within(failure(coord.groups()), "it is told");
    assert.ok(error instanceof ConnectionError, String(error));
    assert.ok(error.cause instanceof CapacityError, String(error.cause));
    assert.equal(coord.state, "lost");
    await world.client.query("alter role app connection limit -1");
    await eventually(() => coord.state === "connected");
    assert.ok(await coord.lock("l").tryAcquire());
  },
);

test("what the server has no memory for is refused, and leaves nothing behind", OPTIONS, async () => {
  await using world = await startWorld({ settings: ["max_connections=10", "max_locks_per_transaction=10"] });
  const [a, b] = [await world.open("a"), await world.open("b")];
  const grants = [];
  let full: unknown;
  for (let i = 0; !full && i < 10_000; i++) {
    try {
      grants.push(await a.take(`lock-${i}`));
    } catch (error) {
      full = error;
    }
  }
  await noRoom(Promise.reject(full), /out of shared memory; raise max_locks_per_transaction/, "53200");
  await Promise.all(grants.slice(1, 50).map((grant) => grant.release()));
  const next = await b.take(`lock-${grants.length}`);
  assert.equal(await next.release(), true);
  assert.equal(await grants[0]?.check(), true);
  for (const grant of [grants[0], ...grants.slice(50)]) assert.equal(await grant?.release(), true);
  // The presences of two sessions.
  assert.equal(await world.value("select count(*)::int from pg_locks where locktype = 'advisory'"), 2);
});

const MOUNTS = process.getuid?.() === 0 ? OPTIONS : { skip: "only root may mount" };

test("a full disk is told to who needs room on it", MOUNTS, async () => {
  await using world = await startWorld();
  const [a, b] = [await world.open("a"), await world.open("b")];
  await a.groups.create("g");
  const path = join(world.server.dir, "small");
  mkdirSync(path);
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m,mode=777", "coord-test", path]);
  try {
    await world.client.query(`create tablespace small location '${path}'`);
    await world.client.query("alter table tooz.member set tablespace small");
    await b.groups.join("g", { presence: "q", data: "{}", replace: false });
    // Nothing that the server could make shorter.
    const data = JSON.stringify(Array.from({ length: 200_000 }, () => Math.random()));
    await noRoom(
      a.groups.join("g", { presence: "p", data, replace: false }),
      /No space left on device; make room on its disk/,
      "53100",
    );
    assert.deepEqual([...(await a.groups.members("g")).members.keys()], ["b"]);
    await (await a.take("l")).release();
    await b.groups.remove("g", "b", "q");
  } finally {
    execFileSync("umount", ["--lazy", path]);
  }
});
