import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ConnectionError, LockBrokenError, SessionLostError } from "../../core/errors.ts";
import { findBinary } from "../servers/binaries.ts";
import { attempt, beating, fired, NEVER, type Party, startWorld, until } from "./redis_world.ts";

const OPTIONS = { skip: !findBinary("redis-server"), timeout: 60_000 };
const LOCK = { kind: "lock", name: "l" } as const;

async function queued(party: Party, count: number): Promise<void> {
  await until(async () => (await party.locks.entries(LOCK)).length === count, `${count} entries`);
}

test("a dead holder's lock goes to the next within its ttl, with nobody polling", OPTIONS, async () => {
  await using world = await startWorld();
  const [a, b, c] = [
    await world.open("a", { ttl: 800 }),
    await world.open("b", { ttl: 9000 }),
    await world.open("c"),
  ];
  const held = await a.take("l");
  const waiting = b.take("l");
  await queued(c, 2);
  const behind = c.take("l");
  await queued(c, 3);
  await sleep(50);
  await world.client.config("RESETSTAT");
  await a.beat();
  const start = performance.now();
  a.die();
  const next = await waiting;
  const took = performance.now() - start;
  assert.ok(took > 700 && took < 1100, `took ${took} ms`);
  assert.ok(next.token > held.token);
  const calls = Number(/cmdstat_evalsha:calls=(\d+)/.exec(await world.client.info("commandstats"))?.[1]);
  assert.ok(calls <= 6, `${calls} calls while waiting`);
  using _ = beating([c]);
  const dying = performance.now();
  b.die();
  await world.client.pexpire(await sessionKey(world.client.keys("test:s:*"), world.client, "b"), 300);
  await behind;
  assert.ok(performance.now() - dying < 2300, "c noticed in time");
});

async function sessionKey(
  keys: Promise<string[]>,
  client: { get(key: string): Promise<string | null> },
  member: string,
) {
  for (const key of await keys) if (await client.get(key) === member) return key;
  return "";
}

test("dead readers make room for a writer", OPTIONS, async () => {
  await using world = await startWorld();
  const [a, b, c] = [
    await world.open("a", { ttl: 500 }),
    await world.open("b", { ttl: 800 }),
    await world.open("c"),
  ];
  for (const party of [a, a, b]) await party.take("l", { mode: "shared" });
  a.die();
  b.die();
  const start = performance.now();
  assert.equal(await c.ask("l", { wait: false }), undefined);
  await c.take("l");
  assert.ok(performance.now() - start < 1000);
});

test("a waiter whose process died is passed over at once", OPTIONS, async () => {
  await using world = await startWorld();
  const [a, b, c] = [await world.open("a"), await world.open("b", { ttl: 30_000 }), await world.open("c")];
  const held = await a.take("l");
  b.take("l").catch(() => {}); // It dies waiting.
  await queued(a, 2);
  const waiting = c.take("l");
  await queued(a, 3);
  b.die();
  await until(async () => (await world.client.pubsub("CHANNELS", "test:c:*")).length === 2, "b is gone");
  const start = performance.now();
  await held.release();
  await waiting;
  assert.ok(performance.now() - start < 500);
});

test("a waiter that is stopped loses its turn after a second, and its place never", OPTIONS, async () => {
  await using world = await startWorld();
  const { proxy, url } = await world.proxied();
  const [a, c, d] = [
    await world.open("a", { ttl: 20_000 }),
    await world.open("c", { ttl: 20_000 }),
    await world.open("d"),
  ];
  const b = await world.open("b", { url, ttl: 20_000, timeout: 10_000 });
  const held = await a.take("l");
  const stopped = b.take("l");
  await queued(a, 2);
  const waiting = c.take("l");
  await queued(a, 3);
  proxy.hold();
  await held.release();
  const start = performance.now();
  const next = await waiting;
  const took = performance.now() - start;
  assert.ok(took > 800 && took < 2000, `took ${took} ms`);
  using _ = beating([d]);
  const behind = d.take("l");
  await queued(a, 2);
  proxy.forward();
  await queued(a, 3);
  await next.release();
  const late = await stopped;
  assert.ok(late.token > next.token);
  await late.release();
  await behind;
});

test("every answer that is lost is found out", OPTIONS, async () => {
  await using world = await startWorld();
  const { proxy, url } = await world.proxied();
  const a = await world.open("a", { url, timeout: 10_000, ttl: 20_000 });
  const b = await world.open("b", { ttl: 20_000 });
  const dropping = async <T>(what: () => Promise<T>): Promise<T> => {
    const dropped = proxy.dropAnswer({ to: "eval" });
    const value = await what();
    await dropped;
    await until(() => a.notes.at(-1) === "reconnected", "back");
    return value;
  };
  await a.take("warm-up").then((grant) => grant.release());
  for (const mode of ["exclusive", "shared"] as const) {
    const grant = await dropping(() => a.take("l", { mode }));
    assert.equal(await grant.check(), true);
    assert.equal(await dropping(() => grant.release()), true);
    assert.equal(
      (await b.take("l", { wait: false })).release !== undefined && await b.locks.break(LOCK),
      true,
    );
  }
  const held = await b.take("l");
  assert.equal(await dropping(() => a.ask("l", { wait: false })), undefined);
  const waiting = dropping(() => a.take("l"));
  await queued(b, 2);
  assert.equal((await b.locks.entries(LOCK)).length, 2);
  await held.release();
  const won = await waiting;
  const behind = b.take("l");
  await queued(b, 2);
  assert.equal(await dropping(() => a.locks.break(LOCK)), true);
  const second = await behind;
  assert.equal(await second.check(), true, "broken once, not twice");
  assert.ok(await fired(won.lost) instanceof LockBrokenError);
  await dropping(() => a.groups.create("g"));
  await assert.rejects(a.groups.create("g"), { name: "GroupAlreadyExistError" });
  const presence = await dropping(() => a.groups.join("g", { presence: "p", data: "1", replace: false }));
  await dropping(() => a.groups.update("g", "a", "2", "p"));
  assert.equal((await b.groups.members("g")).members.get("a")?.data, "2");
  await dropping(() => a.groups.remove("g", "a", "p"));
  assert.equal(presence.lost.aborted, false);
  await dropping(() => a.groups.delete("g"));
  await assert.rejects(a.groups.delete("g"), { name: "GroupNotCreatedError" });
  await dropping(() => a.beat());
  assert.equal(a.lost.aborted, false);
});

test("release() that lost its answer to a break answers false", OPTIONS, async () => {
  await using world = await startWorld();
  const { proxy, url } = await world.proxied();
  const a = await world.open("a", { url, timeout: 400, ttl: 20_000 });
  const b = await world.open("b");
  const grant = await a.take("l");
  proxy.blackHole();
  await assert.rejects(grant.release(), ConnectionError);
  assert.equal(await b.locks.break(LOCK), true);
  proxy.forward();
  assert.equal(await grant.release(), false);
});

test(
  "calls reject with ConnectionError in time while the server is stopped, and go on after it",
  OPTIONS,
  async () => {
    await using world = await startWorld();
    const a = await world.open("a", { timeout: 1_500, ttl: 20_000 });
    const b = await world.open("b", { timeout: 1_500, ttl: 20_000 });
    const held = await a.take("l");
    await a.groups.create("g");
    const queue = b.take("l");
    // Asked by `b`, whose answers come in order: then it knows that it waits, and is not only known to wait.
    await queued(b, 2);
    world.server.pause();
    const calls: Record<string, () => Promise<unknown>> = {
      beat: () => a.beat(),
      take: () => a.ask("other"),
      try: () => a.ask("other", { wait: false }),
      entries: () => a.locks.entries(LOCK),
      break: () => a.locks.break({ kind: "lock", name: "other" }),
      check: () => held.check(),
      update: () => held.update("v"),
      list: () => a.groups.list(),
      create: () => a.groups.create("h"),
      join: () => a.groups.join("g", { presence: "p", data: "1", replace: false }),
      members: () => a.groups.members("g"),
      watch: () => a.groups.watch("g", NEVER)[Symbol.asyncIterator]().next(),
    };
    await Promise.all(
      Object.entries(calls).map(async ([name, call]) => {
        const start = performance.now();
        await assert.rejects(call(), (error: Error) => {
          assert.ok(error instanceof ConnectionError, `${name}: ${error}`);
          // A link that is silent gets half of a call's time: the other half is for the next one.
          const given = Number(/no answer within (\d+) ms/.exec(error.message)?.[1]);
          assert.ok(given <= 750, `${name}: ${error}`);
          return true;
        });
        const took = performance.now() - start;
        assert.ok(took < 5_000, `${name} took ${took} ms`);
      }),
    );
    assert.deepEqual(a.notes, ["suspended"]);
    const start = performance.now();
    await assert.rejects(held.release(), ConnectionError);
    assert.ok(performance.now() - start < 5_000);
    world.server.resume();
    await until(() => a.notes.length === 2, "it is back");
    assert.deepEqual(a.notes, ["suspended", "reconnected"]);
    assert.equal(await held.release(), true);
    assert.ok(await queue, "the wait outlived it");
    await until(
      async () => (await b.groups.members("g")).members.size === 0,
      "a join that was given up is undone",
    );
    await until(
      async () => (await a.locks.entries({ kind: "lock", name: "other" })).length === 0,
      "as is a take",
    );
  },
);

test(
  "an aborted wait ends in time while the server is away, and its entry goes when it is back",
  OPTIONS,
  async () => {
    await using world = await startWorld();
    const { proxy, url } = await world.proxied();
    const [a, b] = [
      await world.open("a", { ttl: 20_000 }),
      await world.open("b", { url, timeout: 1_500, ttl: 20_000 }),
    ];
    const held = await a.take("l");
    const stop = new AbortController();
    const waiting = b.ask("l", { signal: stop.signal });
    await queued(b, 2);
    proxy.blackHole();
    const start = performance.now();
    stop.abort(new Error("enough"));
    await assert.rejects(waiting, /enough/);
    assert.ok(performance.now() - start < 5_000);
    proxy.forward();
    await queued(a, 1);
    await held.release();
    // A request that was held up until after its caller gave up takes no lock.
    proxy.hold();
    const late = new AbortController();
    const taking = b.ask("l", { signal: late.signal });
    await sleep(20);
    late.abort(new Error("too late"));
    await assert.rejects(taking, /too late/);
    await sleep(2_000);
    proxy.forward();
    await until(() => b.notes.at(-1) === "reconnected", "back");
    await b.beat();
    await queued(a, 0);
  },
);

test("a connection that is cut is restored with all places, holds and watches", OPTIONS, async () => {
  await using world = await startWorld();
  const { proxy, url } = await world.proxied();
  const parties = await Promise.all(["a", "b", "c", "d"].map((id) => world.open(id, { url, ttl: 20_000 })));
  const [a, b, c, d] = parties as [Party, Party, Party, Party];
  const held = await a.take("l");
  await a.groups.create("g");
  const member = await a.groups.join("g", { presence: "p", data: "1", replace: false });
  const sizes: (number | undefined)[] = [];
  const watching = (async () => {
    for await (const group of d.groups.watch("g", NEVER)) sizes.push(group?.members.size);
  })().catch((error) => assert.ok(error instanceof SessionLostError));
  await until(() => sizes.at(-1) === 1, "the watch is established");
  const order: string[] = [];
  const waiting: Promise<unknown>[] = [];
  for (const [i, party] of [b, c, d].entries()) {
    waiting.push(
      party.take("l").then((grant) => {
        order.push(`${i}`);
        return grant.release();
      }),
    );
    await queued(a, i + 2);
  }
  for (let i = 0; i < 3; i++) {
    proxy.cut();
    await until(() => parties.every((party) => party.notes.length === 2 * i + 2), "all are back");
  }
  assert.equal(held.lost.aborted || member.lost.aborted, false);
  await queued(a, 4);
  proxy.refuse();
  await until(() => parties.every((party) => party.notes.at(-1) === "suspended"), "all are away");
  const giving = held.release();
  setTimeout(() => proxy.forward(), 100);
  assert.equal(await giving, true);
  await Promise.all(waiting);
  // Who is not back yet when its turn comes is passed over, and keeps its place for the next.
  assert.deepEqual(order.sort(), ["0", "1", "2"]);
  await a.groups.remove("g", "a", "p");
  await until(() => sizes.at(-1) === 0, "the watch goes on");
  await d.close();
  await watching;
});

test("what was broken while away is told on return", OPTIONS, async () => {
  await using world = await startWorld();
  const { proxy, url } = await world.proxied();
  const a = await world.open("a", { url, ttl: 20_000 });
  const b = await world.open("b", { ttl: 20_000 });
  const held = await a.take("l");
  await b.groups.create("g");
  const member = await a.groups.join("g", { presence: "p", data: "1", replace: false });
  proxy.refuse();
  await b.locks.break(LOCK);
  await b.groups.remove("g", "a");
  proxy.forward();
  assert.ok(await fired(held.lost, 2000) instanceof LockBrokenError);
  await fired(member.lost, 2000);
});

test("a server that lost its data ends the session, and tokens grow on", OPTIONS, async () => {
  await using world = await startWorld();
  const [a, b] = [await world.open("a"), await world.open("b")];
  const held = await a.take("l");
  const waiting = b.take("l");
  await queued(a, 2);
  const rejected = assert.rejects(waiting, SessionLostError);
  await world.server.restart();
  await rejected;
  assert.ok(await fired(a.lost) instanceof SessionLostError);
  await assert.rejects(a.beat(), SessionLostError);
  assert.equal(await held.release(), false);
  const c = await world.open("c");
  const again = await c.take("l");
  assert.ok(again.token > held.token);
  await world.client.flushall();
  await assert.rejects(c.beat(), SessionLostError);
  const d = await world.open("d");
  assert.ok((await d.take("l")).token > again.token);
});

test("a server that kept its data goes on with holds and waits, without its scripts", OPTIONS, async () => {
  await using world = await startWorld({ persistent: true });
  const [a, b] = [await world.open("a", { ttl: 20_000 }), await world.open("b", { ttl: 20_000 })];
  const held = await a.take("l");
  const waiting = b.take("l");
  await queued(a, 2);
  await world.server.restart();
  await until(() => [a, b].every((party) => party.notes.at(-1) === "reconnected"), "both are back");
  assert.equal(await held.check(), true);
  assert.equal(await held.release(), true);
  assert.ok((await waiting).token > held.token);
  await world.client.script("FLUSH");
  assert.ok(await a.take("m"));
});

test("close() is bounded while the server is away, and leaves no timer", OPTIONS, async () => {
  await using world = await startWorld();
  const a = await world.open("a", { timeout: 300 });
  await a.take("l");
  world.server.pause();
  const start = performance.now();
  await a.close();
  assert.ok(performance.now() - start < 600);
  world.server.resume();
  const b = await world.open("b", { timeout: 300 });
  await world.server.kill();
  await until(() => b.notes.at(-1) === "suspended", "the loss is noticed");
  const again = performance.now();
  await b.close();
  assert.ok(performance.now() - again < 600);
});

test("a session that expired is lost at the next contact, and nothing of it is left", OPTIONS, async () => {
  await using world = await startWorld();
  const [a, b] = [await world.open("a", { ttl: 150 }), await world.open("b")];
  await a.take("l");
  await a.take("m", { mode: "shared" });
  await sleep(200);
  assert.ok(await b.take("l", { wait: false }));
  assert.ok(await b.take("m", { wait: false }));
  await assert.rejects(a.ask("n"), SessionLostError);
  assert.ok(a.lost.reason instanceof SessionLostError);
});

test(
  "mutual exclusion and order of tokens hold under cuts, breaks of the line and deaths",
  OPTIONS,
  async () => {
    await using world = await startWorld();
    const { proxy, url } = await world.proxied();
    const end = performance.now() + 5000;
    let [inside, top, grants] = [0, 0n, 0];
    const worker = async (id: number) => {
      while (performance.now() < end) {
        const party = await world.open(`m${id}`, { url, ttl: 400, timeout: 300 }).catch(() => undefined);
        if (!party) continue;
        using _ = beating([party], 100);
        for (let i = 0; i < 40 && !party.lost.aborted && performance.now() < end; i++) {
          // A holder dies outside only: what a dead one still does, the token has to fence.
          const signal = Math.random() < 0.2 ? AbortSignal.timeout(Math.ceil(Math.random() * 20)) : NEVER;
          const grant = await party.locks.acquire(attempt("l", { signal })).catch(() => undefined);
          if (!grant) continue;
          inside++;
          assert.equal(inside, 1);
          assert.ok(grant.token > top);
          top = grant.token;
          grants++;
          inside--;
          while (!await grant.release().then(() => true, () => party.lost.aborted));
        }
        if (Math.random() < 0.3) party.die();
        else await party.close();
      }
    };
    const cutting = (async () => {
      while (performance.now() < end) {
        await sleep(20 + Math.random() * 150);
        proxy.cut();
      }
    })();
    await Promise.all([cutting, ...[1, 2, 3, 4].map(worker)]);
    assert.ok(grants > 100, `${grants} grants`);
    const last = await world.open("last");
    await last.take("l").then((grant) => grant.release());
    await last.close();
    // What died leaves its session key, for as long as its ttl.
    await until(async () => (await world.leftovers()).length === 0, "nothing is left", 1500);
  },
);

/** Forwards to a port of this machine; the connection that came first can be left on the server while its client goes. */
async function startFork(
  port: number,
): Promise<{ port: number; first(): Socket; strand(): void } & AsyncDisposable> {
  const pairs: [client: Socket, upstream: Socket][] = [];
  const server = createServer((client) => {
    const upstream = connect(port, "127.0.0.1");
    for (const socket of [client, upstream]) socket.on("error", () => {});
    client.pipe(upstream);
    upstream.pipe(client);
    pairs.push([client, upstream]);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const first = () => {
    assert.ok(pairs[0], "somebody is connected");
    return pairs[0];
  };
  return {
    port: (server.address() as AddressInfo).port, // It listens on a port.
    first: () => first()[1],
    strand() {
      const [client, upstream] = first();
      client.unpipe(upstream);
      upstream.unpipe(client).resume();
      client.resume();
    },
    async [Symbol.asyncDispose]() {
      for (const socket of pairs.flat()) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

test(
  "a connection that was given up is closed on the server, with all that may still come on it",
  OPTIONS,
  async () => {
    await using world = await startWorld();
    await using fork = await startFork(world.server.port);
    const party = await world.open("a", { url: world.server.urlAt(fork.port), ttl: 20_000 });
    const closed = once(fork.first(), "close");
    const held = await party.take("l");
    fork.strand();
    // Without an answer on the first connection it makes another.
    assert.equal(await held.check(), true);
    let isClosed = false;
    void closed.then(() => isClosed = true);
    await until(() => isClosed, "the server has closed the first");
    assert.equal(await held.release(), true);
  },
);
