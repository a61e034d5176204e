import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { ConnectionError } from "../../core/errors.ts";
import type { Opener } from "../../driver.ts";
import { consul } from "../../drivers/consul.ts";
import { Link } from "../../drivers/consul/link.ts";
import { systemClock } from "../../internal/clock.ts";
import { Interrupted } from "../../internal/tree/store.ts";
import { getCoordinator } from "../../mod.ts";
import { eventually, failure, within } from "../conformance/waiting.ts";
import { commandFor, currentRuntime } from "../processes/runtimes.ts";
import { findBinary } from "../servers/binaries.ts";
import { startConsul } from "../servers/consul.ts";
import { startProxy } from "../servers/proxy.ts";
import { Fake, http, LOCK, NEVER, newEntry, openStore, startWorld } from "./consul_world.ts";
import { NOBODY } from "./nobody.ts";

const OPTIONS = { skip: !findBinary("consul"), timeout: 60_000 };

function linkTo(ports: readonly number[], limit = 5_000): Link {
  const hosts = ports.map((port) => ({ host: "127.0.0.1", port }));
  return new Link({ hosts, access: NOBODY, datacenter: undefined, lockDelay: 0 }, {
    clock: systemClock,
    limit,
  });
}

test("consul() refuses what it cannot use, without credentials in the message", () => {
  const refused: [string, RegExp][] = [
    ["http://x", /want scheme "consul:"/],

    ["consul://u:secret@a", /knows no users/],

    ["consul://a/path", /want no path/],
    ["consul://a?lockdelay=1", /did you mean "lockDelay"/],
  ];
  for (const [url, message] of refused) {
    assert.throws(
      () => consul(url),
      (error: Error) =>
        error instanceof TypeError && message.test(error.message) && !/secret/.test(error.message),
    );
  }
  for (const lockDelay of [-1, NaN, Infinity]) {
    assert.throws(() => consul("consul://a", { lockDelay }), RangeError);
  }
  const { defaults, driver } = consul("consul://a,b:1,[::1]?ttl=5000&datacenter=east&lockDelay=10") as Opener;
  assert.deepEqual({ defaults, driver }, { defaults: { ttl: 5000 }, driver: "consul" });
});

test("a request whose connection drops is never sent twice, in any runtime's HTTP client", async () => {
  for (const method of ["GET", "PUT"] as const) {
    // The second connection would be one that was used before, if there were such.
    for (const answered of [0, 1, 2]) {
      await using fake = await Fake.start((request) => request > answered ? undefined : http("200 OK", "[]"));
      const link = linkTo([fake.port]);
      const request = { method, path: "/x", ...(method === "PUT" ? { body: [] } : {}) };
      for (let i = 0; i < answered; i++) assert.equal((await link.ask(request)).status, 200);
      await assert.rejects(link.ask(request), Interrupted);
      await assert.rejects(link.wait(request, { limit: 1_000, signal: NEVER }), Interrupted);
      link.destroy();
      assert.equal(fake.requests.length, answered + 2, `${method} after ${answered}`);
    }
  }
});

test("an answer that will not come is Interrupted, a refusal is final", async () => {
  const answers: [string, boolean][] = [
    [http("500 Internal Server Error", "No cluster leader", "text/plain"), true],
    [http("500 Internal Server Error", "rpc error making call: EOF", "text/plain"), true],
    [http("429 Too Many Requests", "Your request was rejected", "text/plain"), true],
    [http("200 OK", "{cut").replace("Content-Length: 4", "Content-Length: 9"), true],
    [http("200 OK", "{no JSON"), true],
    [http("403 Forbidden", "Permission denied", "text/plain"), false],
    [http("500 Internal Server Error", "No path to datacenter", "text/plain"), false],
    [http("413 Request Entity Too Large", "Request body too large", "text/plain"), false],
  ];
  for (const [answer, isInterrupted] of answers) {
    await using fake = await Fake.start(() => answer);
    const link = linkTo([fake.port], 300);
    const error = await failure(link.ask({ method: "GET", path: "/x" }));
    link.destroy();
    assert.equal(error instanceof Interrupted, isInterrupted, `${answer}: ${error}`);
  }
});

test("a failure turns to the next server, and ends what waits on the one that failed", async () => {
  await using silent = await Fake.start(() => "");
  await using good = await Fake.start(() => http("200 OK", "[]"));
  const link = linkTo([silent.port, good.port], 200);
  const waiting = failure(link.wait({ method: "GET", path: "/wait" }, { limit: 60_000, signal: NEVER }));
  await eventually(() => silent.requests.length === 1);
  await assert.rejects(link.ask({ method: "GET", path: "/x" }), /no answer within 200 ms/);
  assert.ok(await within(waiting, "the wait ends") instanceof Interrupted);
  assert.equal(link.location, `127.0.0.1:${good.port}`);
  await eventually(() => silent.open === 0);
  assert.equal((await link.ask({ method: "GET", path: "/x" })).status, 200);
  link.destroy();
  await assert.rejects(link.ask({ method: "GET", path: "/x" }), Interrupted);
  assert.deepEqual([silent.requests.length, good.requests.length], [2, 1]);
});

test("a thousand requests are not a thousand connections", OPTIONS, async () => {
  await using world = await startWorld();
  await using proxy = await startProxy(world.server.port);
  await using coord = await getCoordinator(world.server.urlAt(proxy.port), { ttl: 20_000 });
  const leases = Promise.all(Array.from({ length: 300 }, (_, i) => coord.lock(`lock-${i}`).acquire()));
  let [most, isDone] = [0, false];
  leases.then(() => isDone = true, () => isDone = true);
  await eventually(() => {
    most = Math.max(most, proxy.open);
    return isDone;
  }, 30_000);
  assert.equal((await leases).length, 300);
  // Those that are closing, and a heartbeat, may come on top.
  assert.ok(most <= 64, `${most} connections`);
});

test("open() rejects when refused or silent, and when it is cancelled", OPTIONS, async () => {
  await using world = await startWorld();
  const open = (url: string, signal = NEVER) =>
    (consul(url) as Opener).open({
      memberId: "m",
      incarnation: "i",
      namespace: "test",
      ttl: 9_000,
      timeout: 900,
      signal,
      longest: 10_000,
      note: () => {},
    });
  await assert.rejects(open("consul://127.0.0.1:1"), ConnectionError);
  await assert.rejects(open(`${world.server.url}?datacenter=nowhere`), (error: Error) => {
    return error instanceof ConnectionError && /No path to datacenter/.test(error.message);
  });
  await (await open(`${world.server.url}?datacenter=dc1`)).close();
  // The first that can be reached will do.
  await (await open(`consul://127.0.0.1:1,127.0.0.1:${world.server.port}`)).close();
  await using silent = await Fake.start(() => "");
  const nowhere = `consul://127.0.0.1:${silent.port}`;
  await assert.rejects(open(nowhere), ConnectionError);
  const reason = new Error("enough");
  await assert.rejects(open(nowhere, AbortSignal.abort(reason)), reason);
  const stop = new AbortController();
  const opening = open(nowhere, stop.signal);
  stop.abort(reason);
  await assert.rejects(opening, reason);
});

test(
  "of a margin that does not fit into the granted ttl, half of that is taken, in one session",
  OPTIONS,
  async () => {
    await using server = await startConsul();
    await using coord = await getCoordinator(consul(server.url), { ttl: 12_000, margin: 9_000 });
    const lease = await coord.lock("l").acquire();
    const left = lease.remaining();
    assert.ok(left > 0 && left <= 3_000, `${left} ms of 6,000`);
    const sessions = await (await fetch(`http://127.0.0.1:${server.port}/v1/session/list`)).json();
    assert.equal(sessions.length, 1);
  },
);

test("what is cancelled, or under way when all ends, leaves no connection", async () => {
  await using fake = await Fake.start(() => "");
  const link = linkTo([fake.port]);
  const [stop, reason] = [new AbortController(), new Error("enough")];
  const waiting = failure(
    link.wait({ method: "GET", path: "/wait" }, { limit: 60_000, signal: stop.signal }),
  );
  const asking = failure(link.ask({ method: "PUT", path: "/x" }));
  await eventually(() => fake.requests.length === 2);
  stop.abort(reason);
  assert.equal(await waiting, reason);
  await eventually(() => fake.open === 1);
  link.destroy();
  assert.ok(await asking instanceof Interrupted);
  await eventually(() => fake.open === 0);
});

test("a server that cannot be reached any more ends the waits on it", OPTIONS, async () => {
  await using world = await startWorld();
  const { store, proxy } = await world.proxied({ limit: 300 });
  const holder = await world.open();
  const { place } = await holder.line(LOCK).enter(newEntry());
  const { ahead, at } = await store.line(LOCK).enter(newEntry());
  assert.equal(ahead, place.path);
  const before = proxy.traffic.connections;
  const waiting = failure(store.line(LOCK).changed(ahead, at, NEVER));
  await eventually(() => proxy.traffic.connections > before);
  proxy.blackHole();
  await assert.rejects(store.renew(), Interrupted);
  assert.ok(await within(waiting, "the wait ends") instanceof Interrupted);
  proxy.forward();
  await store.renew();
});

test("nothing keeps the process alive after destroy()", OPTIONS, async () => {
  await using world = await startWorld();
  const [program = "", ...args] = commandFor(currentRuntime, new URL("./consul_worker.ts", import.meta.url), [
    String(world.server.port),
  ]);
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout.on("data", (chunk: Uint8Array) => said += new TextDecoder().decode(chunk));
  const [code] = await within(once(child, "exit"), "the process ends", 20_000);
  assert.equal(code, 0);
  assert.match(said, /^waiting\ndestroyed Interrupted\n$/);
});

test("a session that was opened is one of the server's", OPTIONS, async () => {
  await using world = await startWorld();
  const store = await openStore({ ports: [world.server.port], memberId: "müller/1" });
  const [session] = (await world.ask("/session/list")).body as Record<string, unknown>[];
  const { Name, LockDelay, Behavior, TTL, NodeChecks } = session ?? {};
  assert.deepEqual({ Name, LockDelay, Behavior, TTL, NodeChecks }, {
    Name: "müller/1",
    LockDelay: 0,
    Behavior: "delete",
    TTL: "10000ms",
    NodeChecks: [],
  });
  await store.end();
  assert.deepEqual((await world.ask("/session/list")).body, []);
  store.destroy();
});
