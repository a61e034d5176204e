import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ConnectionError, LockBrokenError, LockLostError, SessionLostError } from "../../core/errors.ts";
import type { Grant, Opener } from "../../driver.ts";
import { redis } from "../../drivers/redis.ts";
import { findBinary } from "../servers/binaries.ts";
import { beating, fired, NEVER, type Party, startWorld, until } from "./redis_world.ts";

const OPTIONS = { skip: !findBinary("redis-server"), timeout: 60_000 };

test("redis() refuses what it cannot use, without credentials in the message", () => {
  const refused: [string, RegExp][] = [
    ["http://x", /want scheme "redis:"/],
    ["redis://u:secret@a,b", /want one server/],
    ["redis://:secret@a/x", /want the number of a database/],
    ["redis://a?dbb=1", /did you mean "db"/],
  ];
  for (const [url, message] of refused) {
    assert.throws(
      () => redis(url),
      (error: Error) => message.test(error.message) && !/secret/.test(error.message),
    );
  }
  assert.throws(() => redis("redis://a", { db: -1 }), RangeError);
  const { defaults, driver } = redis("redis://a?ttl=5000&namespace=jobs") as Opener;
  assert.deepEqual({ defaults, driver }, { defaults: { ttl: 5000, namespace: "jobs" }, driver: "redis" });
});

test("open() rejects with ConnectionError when refused, without credentials in it", OPTIONS, async () => {
  await using world = await startWorld({ password: "hunter2" });
  const at = (rest: string) => `redis://${rest}@127.0.0.1:${world.server.port}`;
  const bad: [string, RegExp][] = [
    ["redis://:pass3@127.0.0.1:1", /ECONNREFUSED|refused/i],
    [at(":pass3"), /WRONGPASS/],
    [at("nobody:pass3"), /WRONGPASS/],
    [at(":hunter2") + "/99", /DB index/],
    [`redis://127.0.0.1:${world.server.port}`, /NOAUTH/],
  ];
  for (const [url, message] of bad) {
    await assert.rejects(world.open("a", { url }), (error: Error) => {
      assert.ok(error instanceof ConnectionError, String(error));
      assert.match(error.message, message);
      assert.doesNotMatch(`${error.stack} ${JSON.stringify(error.cause)}`, /pass3|hunter2/);
      return true;
    });
  }
  const good = await world.open("a", { url: at(":hunter2") + "/3" });
  assert.ok(await good.take("l"));
});

test("open() ends with the reason of its signal", OPTIONS, async () => {
  await using world = await startWorld();
  world.server.pause();
  const reason = new Error("enough");
  const stop = new AbortController();
  const opening = world.open("a", { signal: stop.signal, timeout: 5000 });
  setTimeout(() => stop.abort(reason), 50);
  await assert.rejects(opening, reason);
  await assert.rejects(world.open("a", { timeout: 200 }), ConnectionError);
  world.server.resume();
});

test("acquire() excludes, and tells holders and waiters", OPTIONS, async () => {
  await using world = await startWorld();
  const [a, b] = [await world.open("a"), await world.open("b")];
  const grant = await a.take("l", { id: "first", value: "v 1" });
  assert.equal(await b.ask("l", { wait: false }), undefined);
  const waiting = b.take("l", { id: "second {}%: x", value: "" });
  await until(async () => (await a.locks.entries({ kind: "lock", name: "l" })).length === 2, "two entries");
  const [holder, waiter] = await a.locks.entries({ kind: "lock", name: "l" });
  assert.ok(Math.abs((holder?.since ?? 0) - Date.now()) < 60_000);
  assert.deepEqual({ ...holder, since: 0 }, {
    memberId: "a",
    attempt: "first",
    mode: "exclusive",
    token: grant.token,
    since: 0,
    value: "v 1",
  });
  assert.deepEqual(waiter, { memberId: "b", attempt: "second {}%: x", mode: "exclusive", value: "" });
  assert.equal(await grant.check(), true);
  assert.equal(await grant.release(), true);
  assert.equal(await grant.release(), false);
  assert.equal(await grant.check(), false);
  const next = await waiting;
  assert.ok(next.token > grant.token);
  assert.equal(grant.lost.aborted, false);
  await next.release();
  assert.deepEqual(await a.locks.entries({ kind: "lock", name: "l" }), []);
});

test("locks and elections, and namespaces, never meet, whatever their names", OPTIONS, async () => {
  await using world = await startWorld();
  const a = await world.open("a");
  const other = await world.open("a", { namespace: "test:l" });
  const names = ["l", "{", "}", "{}", "x}{y", ":", "%7d", "a b", "ä😀\n\t", "l:x", "é".repeat(512), "test:l"];
  const grants: Grant[] = [];
  for (const party of [a, other]) {
    for (const kind of ["lock", "election"] as const) {
      for (const name of names) grants.push(await party.take(name, { kind, wait: false }));
    }
  }
  for (const grant of grants) assert.equal(await grant.check(), true);
  await a.groups.create("{g}: %ä\n");
  assert.deepEqual(await a.groups.list(), ["{g}: %ä\n"]);
  assert.deepEqual(await other.groups.list(), []);
});

test("acquire() serves in the order of arrival, readers together, and starves neither", OPTIONS, async () => {
  await using world = await startWorld();
  const parties: Party[] = [];
  for (let i = 0; i < 7; i++) parties.push(await world.open(`m${i}`));
  const first = await parties[0]?.take("l");
  const order: string[] = [];
  const grants: Grant[] = [];
  const modes = ["shared", "shared", "exclusive", "shared", "exclusive", "shared"] as const;
  for (const [i, mode] of modes.entries()) {
    void parties[i + 1]?.take("l", { mode }).then((grant) => {
      order.push(`${mode} ${i}`);
      grants.push(grant);
    });
    await until(
      async () => (await parties[0]?.locks.entries({ kind: "lock", name: "l" }))?.length === i + 2,
      "the waiter is in the queue",
    );
  }
  await first?.release();
  await until(() => grants.length === 2, "both readers");
  // Two sessions are told at one moment; which of them hears first is open.
  order.sort();
  // A late reader does not pass the writer, and a try passes nobody.
  assert.equal(await parties[0]?.ask("l", { mode: "shared", wait: false }), undefined);
  for (const count of [3, 4, 5, 6]) {
    const last = grants.splice(0);
    grants.length = 0;
    order.push("|");
    for (const grant of last) assert.equal(await grant.release(), true);
    await until(() => order.filter((word) => word !== "|").length === count, `grant ${count}`);
  }
  assert.equal(
    order.join(" "),
    "shared 0 shared 1 | exclusive 2 | shared 3 | exclusive 4 | shared 5",
  );
});

test("acquire() keeps two holders apart under contention, cancels and tries", OPTIONS, async () => {
  await using world = await startWorld();
  const parties: Party[] = [];
  for (let i = 0; i < 6; i++) parties.push(await world.open(`m${i}`, { ttl: 20_000 }));
  const inside = { exclusive: 0, shared: 0 };
  let [top, grants, cancels] = [0n, 0, 0];
  const work = async (party: Party) => {
    for (let i = 0; i < 120; i++) {
      const mode = Math.random() < 0.4 ? "shared" : "exclusive";
      const signal = Math.random() < 0.25 ? AbortSignal.timeout(Math.ceil(Math.random() * 8)) : NEVER;
      const grant = await party.ask("l", { mode, signal, wait: Math.random() < 0.9 }).catch((error) => {
        assert.equal(error, signal.reason);
        cancels++;
      });
      if (!grant) continue;
      assert.equal(inside.exclusive + (mode === "exclusive" ? inside.shared : 0), 0);
      inside[mode]++;
      grants++;
      if (mode === "exclusive") {
        assert.ok(grant.token > top, "tokens grow");
        top = grant.token;
      }
      if (Math.random() < 0.5) await sleep(Math.random() * 2);
      inside[mode]--;
      assert.equal(await grant.release(), true);
    }
  };
  await Promise.all(parties.map(work));
  assert.ok(grants > 300 && cancels > 10, `${grants} grants, ${cancels} cancels`);
  await Promise.all(parties.map((party) => party.close()));
  assert.deepEqual(await world.leftovers(), []);
});

test("acquire() aborted while it is granted leaves nothing behind", OPTIONS, async () => {
  await using world = await startWorld();
  const [a, b, c] = [await world.open("a"), await world.open("b"), await world.open("c")];
  using _ = beating([a, b, c]);
  for (let i = 0; i < 200; i++) {
    const grant = await a.take("l");
    const stop = new AbortController();
    const waiting = b.ask("l", { signal: stop.signal });
    const behind = c.take("l");
    await until(async () => await world.client.zcard("{test:l:l}:q") === 2, "two wait");
    const giving = grant.release();
    if (i % 2) await sleep(Math.random());
    stop.abort(new Error(`stop ${i}`));
    const won = await waiting.catch((error) => assert.equal(error, stop.signal.reason));
    await giving;
    await won?.release();
    await (await behind).release();
    assert.equal(await world.client.zcard("{test:l:l}:q"), 0);
  }
  const stopped = AbortSignal.abort(new Error("before"));
  await assert.rejects(a.ask("l", { signal: stopped }), /before/);
});

test("1,000 readers are served, and make room for a writer", OPTIONS, async () => {
  await using world = await startWorld();
  const parties = await Promise.all([1, 2, 3, 4].map((i) => world.open(`m${i}`, { ttl: 20_000 })));
  const writer = await world.open("w", { ttl: 20_000 });
  const first = await writer.take("l");
  const reading = Array.from({ length: 1000 }, (_, i) => parties[i % 4]?.take("l", { mode: "shared" }));
  await until(async () => await world.client.zcard("{test:l:l}:q") === 1000, "all wait");
  await first.release();
  const readers = await Promise.all(reading);
  const waiting = writer.take("l");
  await Promise.all(readers.map((grant) => grant?.release()));
  const last = await waiting;
  assert.ok(readers.every((grant) => grant && grant.token < last.token));
});

test(
  "beat() renews a session with 1,000 holds in one request, and finds those that are gone",
  OPTIONS,
  async () => {
    await using world = await startWorld();
    const a = await world.open("a", { ttl: 1000 });
    const modes = ["exclusive", "shared"] as const;
    const grants = await Promise.all(
      Array.from({ length: 1000 }, (_, i) => a.take(`l${i}`, { mode: modes[i % 2] ?? "shared" })),
    );
    await a.beat();
    await world.client.config("RESETSTAT");
    await a.beat();
    const calls = /cmdstat_evalsha:calls=(\d+)/.exec(await world.client.info("commandstats"))?.[1];
    assert.equal(calls, "1");
    for (let i = 0; i < 6; i++) {
      await sleep(300);
      await a.beat();
    }
    assert.equal(await grants[999]?.check(), true);
    await world.client.del("{test:l:l4}:x", "{test:l:l5}:r");
    await a.beat();
    const lost = grants.flatMap((grant, i) => grant.lost.aborted ? [i] : []);
    assert.deepEqual(lost, [4, 5]);
    assert.ok(grants[4]?.lost.reason instanceof LockLostError);
    assert.ok(!(grants[4]?.lost.reason instanceof LockBrokenError));
  },
);

test("break() frees the lock, tells its holders at once, and keeps the queue", OPTIONS, async () => {
  await using world = await startWorld();
  const [a, b, c, d] = [
    await world.open("a"),
    await world.open("b"),
    await world.open("c"),
    await world.open("d"),
  ];
  const target = { kind: "lock", name: "l" } as const;
  assert.equal(await a.locks.break(target), false);
  const held = await a.take("l");
  const waiting = b.take("l");
  await until(async () => (await a.locks.entries(target)).length === 2, "b waits");
  const behind = c.take("l");
  await until(async () => (await a.locks.entries(target)).length === 3, "c waits");
  assert.equal(await d.locks.break(target), true);
  assert.ok(await fired(held.lost, 500) instanceof LockBrokenError);
  assert.equal(await held.release(), false);
  const next = await waiting;
  assert.ok(next.token > held.token);
  assert.equal(next.lost.aborted, false);
  await next.release();
  await (await behind).release();
  const readers = [await a.take("l", { mode: "shared" }), await b.take("l", { mode: "shared" })];
  assert.equal(await d.locks.break(target), true);
  for (const reader of readers) assert.ok(await fired(reader.lost, 500) instanceof LockBrokenError);
  assert.ok((await d.take("l", { wait: false })).token > next.token);
});

test("watch() tells the exclusive holder after every change, and after a death", OPTIONS, async () => {
  await using world = await startWorld();
  const [a, b, c] = [await world.open("a", { ttl: 600 }), await world.open("b"), await world.open("c")];
  const stop = new AbortController();
  const seen: string[] = [];
  const watching = (async () => {
    for await (const entry of c.locks.watch({ kind: "election", name: "e" }, stop.signal)) {
      const now = entry ? `${entry.memberId} ${entry.value}` : "-";
      if (seen.at(-1) !== now) seen.push(now);
    }
  })();
  const sees = (what: string) => until(() => seen.at(-1) === what, `${what} after ${seen}`, 2000);
  await sees("-");
  const first = await b.take("e", { kind: "election", value: "addr 1" });
  await sees("b addr 1");
  assert.equal(await first.update("addr 2"), true);
  await sees("b addr 2");
  const waiting = a.take("e", { kind: "election", value: "a's" });
  await until(async () => (await b.locks.entries({ kind: "election", name: "e" })).length === 2, "a waits");
  await first.release();
  assert.equal(await first.update("addr 3"), false);
  await sees("a a's");
  await waiting;
  a.die();
  await sees("-");
  stop.abort();
  await watching;
  assert.deepEqual(seen, ["-", "b addr 1", "b addr 2", "a a's", "-"]);
});

test("close() gives everything back, hands it over, and rejects what waits", OPTIONS, async () => {
  await using world = await startWorld();
  const [a, b] = [await world.open("a"), await world.open("b")];
  const held = await a.take("l");
  await a.take("shared", { mode: "shared" });
  await a.groups.create("g");
  await a.groups.join("g", { presence: "p", data: "1", replace: false });
  await b.take("busy");
  const pending = a.take("busy");
  const next = b.take("l");
  const left = (async () => {
    for await (const group of b.groups.watch("g", NEVER)) if (group?.members.size === 0) return;
  })();
  await until(async () => (await b.locks.entries({ kind: "lock", name: "busy" })).length === 2, "a waits");
  const rejected = assert.rejects(pending, SessionLostError);
  await Promise.all([a.close(), a.close()]);
  await Promise.all([rejected, left]);
  await next;
  assert.ok(await b.take("shared", { wait: false }));
  assert.equal((await b.locks.entries({ kind: "lock", name: "busy" })).length, 1);
  assert.equal(held.lost.aborted, false);
  assert.equal(await held.release(), false);
  assert.equal(await held.check(), false);
  await assert.rejects(a.ask("l"), SessionLostError);
  await assert.rejects(a.groups.list(), SessionLostError);
  assert.equal(a.lost.aborted, false);
  await b.groups.delete("g");
  await b.close();
  assert.deepEqual(await world.leftovers(), []);
});

test("names that look like parts of keys never meet those of another namespace", OPTIONS, async () => {
  await using world = await startWorld();
  const [one, other] = [
    await world.open("a", { namespace: "n" }),
    await world.open("b", { namespace: "n:l:a" }),
  ];
  const grant = await one.take("a:l:b", { wait: false });
  await other.take("b", { wait: false });
  assert.equal(await grant.check(), true, "it was not taken for a dead one's");
});
