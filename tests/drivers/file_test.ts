import assert from "node:assert/strict";
import * as fs from "node:fs";
import { join, relative } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { LockBrokenError, SessionLostError } from "../../core/errors.ts";
import { file } from "../../drivers/file.ts";
import { getCoordinator } from "../../mod.ts";
import { eventually, lost, World } from "./file_world.ts";

test("file() refuses what it cannot use", () => {
  const refused: [string | URL, RegExp][] = [
    ["redis://host", /want file:\/\/\/path/],
    ["file://host/path", /three slashes/],
    ["file:///a%00b", /NUL/],
    ["file:///a%zz", /hexadecimal/],
    ["file:///a?allownetwork=true", /did you mean "allowNetwork"/],
    ["file:///a?allowNetwork=yes", /true or false/],
  ];
  for (const [url, message] of refused) assert.throws(() => file(url), message);
  const unknown = { network: true } as { allowNetwork?: boolean }; // As a program without types may do.
  assert.throws(() => file("file:///a", unknown), TypeError);
  assert.equal(file(new URL("file:///a?namespace=b")).driver, "file");
  assert.throws(() => file(""), TypeError);
  assert.throws(() => file("./a\0b"), TypeError);
});

test("file() takes a path, a URL of one, and a URL object: all the same place", async () => {
  await using world = new World();
  const path = join(world.directory, "what? 100%#x");
  const url = pathToFileURL(path);
  const places = [
    path,
    relative(".", path),
    url,
    url.href,
    `file:${relative(".", path)}`.replaceAll("%", "%25")
      .replaceAll("?", "%3f").replaceAll("#", "%23"),
  ];
  for (const place of places) {
    await using one = await getCoordinator(file(place));
    await using two = await getCoordinator(file(path));
    const lease = await one.lock("l").acquire();
    assert.equal(await two.lock("l").tryAcquire(), undefined, String(place));
    assert.equal(await lease.release(), true);
  }
  assert.deepEqual(fs.readdirSync(world.directory), ["what? 100%#x"]);
});

test("acquire() excludes, and tells holders and waiters", async () => {
  await using world = new World();
  const [one, two] = [await world.open("one"), await world.open("two")];
  const grant = await one.take("job", { value: "x" });
  assert.equal(await two.ask("job", { wait: false }), undefined);
  assert.equal(await two.ask("job", { wait: false, mode: "shared" }), undefined);
  const next = two.take("job", { id: "waiting" });
  await world.queued("job", 1);
  const [holder, waiter] = await two.entries("job");
  assert.deepEqual([holder?.memberId, holder?.token, holder?.mode, holder?.value], [
    "one",
    grant.token,
    "exclusive",
    "x",
  ]);
  assert.ok(Math.abs((holder?.since ?? 0) - Date.now()) < 60_000);
  assert.deepEqual(waiter, { memberId: "two", attempt: "waiting", mode: "exclusive", value: "" });
  assert.equal(await grant.release(), true);
  const second = await next;
  assert.ok(second.token > grant.token);
  assert.deepEqual([await grant.release(), await grant.check(), await second.check()], [false, false, true]);
  assert.equal(await second.release(), true);
  assert.deepEqual(await one.entries("job"), []);
  assert.deepEqual(world.leftovers().length, 2);
});

test("acquire() serves in the order of arrival, readers together, and starves neither", async () => {
  await using world = new World();
  const order: string[] = [];
  const first = await (await world.open("first")).take("job");
  const modes = ["shared", "shared", "exclusive", "shared", "exclusive"] as const;
  const waits: Promise<unknown>[] = [];
  let together = 0;
  for (const [i, mode] of modes.entries()) {
    const party = await world.open(`p${i}`);
    waits.push(
      party.take("job", { mode }).then(async (grant) => {
        order.push(`${i}`);
        together = Math.max(
          together,
          (await party.entries("job")).filter(({ token }) => token !== undefined).length,
        );
        if (i === 0) await eventually(() => order.length === 2, "the second reader is in, too");
        await grant.release();
      }),
    );
    await world.queued("job", i + 1);
  }
  const late = await world.open("late");
  assert.equal(await late.ask("job", { wait: false, mode: "shared" }), undefined);
  await first.release();
  await Promise.all(waits);
  assert.deepEqual([order.slice(0, 2).sort(), order.slice(2)], [["0", "1"], ["2", "3", "4"]]);
  assert.equal(together, 2);
});

test("acquire() with wait: false never overtakes a waiter, not even beside readers", async () => {
  await using world = new World();
  const [one, two, three] = [await world.open("one"), await world.open("two"), await world.open("three")];
  const reader = await one.take("job", { mode: "shared" });
  const writer = two.take("job");
  await world.queued("job", 1);
  assert.equal(await three.ask("job", { wait: false, mode: "shared" }), undefined);
  assert.equal(await one.ask("job", { wait: false, mode: "shared" }), undefined);
  const tried = [reader.release(), three.ask("job", { wait: false })];
  assert.deepEqual(await Promise.all(tried), [true, undefined]);
  await (await writer).release();
  assert.ok(await three.ask("job", { wait: false }));
});

test("shared grants of one session overlap, and each is given back alone", async () => {
  await using world = new World();
  const [one, two] = [await world.open("one"), await world.open("two")];
  const [a, b] = [await one.take("job", { mode: "shared" }), await one.take("job", { mode: "shared" })];
  assert.equal((await two.entries("job")).length, 2);
  await a.release();
  assert.equal(await two.ask("job", { wait: false }), undefined);
  await b.release();
  const writer = await two.take("job");
  assert.ok(writer.token > a.token && writer.token > b.token);
});

test("an aborted wait rejects with its reason, leaves nothing, and lets in who stood behind", async () => {
  await using world = new World();
  const [one, two, three] = [await world.open("one"), await world.open("two"), await world.open("three")];
  const reader = await one.take("job", { mode: "shared" });
  const stop = new AbortController();
  const writer = assert.rejects(
    two.take("job", { signal: stop.signal }),
    (error) => error === stop.signal.reason,
  );
  await world.queued("job", 1);
  const behind = three.take("job", { mode: "shared" });
  await world.queued("job", 2);
  stop.abort(new Error("no more"));
  await writer;
  await (await behind).release();
  await reader.release();
  for (let i = 0; i < 200; i++) {
    const held = await one.take("race");
    const abort = new AbortController();
    const wait = two.take("race", { signal: abort.signal }).catch(() => undefined);
    await sleep(Math.random() * 2);
    abort.abort();
    await held.release();
    await (await wait)?.release();
  }
  assert.equal((await one.ask("race", { wait: false }))?.lost.aborted, false);
  await world.queued("race", 0);
});

test("token grows over restarts, a break, an emptied lock file and a removed directory", async () => {
  await using world = new World();
  let last = 0n;
  const grow = async (mode: "exclusive" | "shared" = "exclusive") => {
    const party = await world.open("one");
    const grant = await party.take("job", { mode });
    assert.ok(grant.token > last && grant.token < 2n ** 63n, `${grant.token} after ${last}`);
    last = grant.token;
    return party;
  };
  await (await grow()).close();
  const party = await grow("shared");
  assert.equal(await party.locks.break({ kind: "lock", name: "job" }), true);
  await (await grow()).close();
  // As the shell does for: ( flock 9; ... ) 9>lock
  fs.truncateSync(world.path("job"), 0);
  await (await grow()).close();
  await party.close();
  fs.rmSync(world.directory, { recursive: true });
  await (await grow()).close();
});

test("break() frees the lock at once, signals its holders, and keeps the places of those who wait", async () => {
  await using world = new World();
  const [one, two, three] = [await world.open("one"), await world.open("two"), await world.open("three")];
  assert.equal(await three.locks.break({ kind: "lock", name: "job" }), false);
  const readers = [await one.take("job", { mode: "shared" }), await two.take("job", { mode: "shared" })];
  const next = three.take("job");
  await world.queued("job", 1);
  assert.equal(await one.locks.break({ kind: "lock", name: "job" }), true);
  assert.equal(readers[0]?.lost.aborted, true);
  const grant = await next;
  for (const reader of readers) {
    assert.ok(await lost(reader.lost) instanceof LockBrokenError);
    assert.ok(grant.token > reader.token);
    assert.equal(await reader.release(), false);
  }
  assert.equal(await grant.check(), true);
  assert.deepEqual((await two.entries("job")).map(({ memberId }) => memberId), ["three"]);
  assert.equal(await one.ask("job", { wait: false }), undefined);
  assert.equal(await grant.release(), true);
});

test("watch() tells the exclusive holder and its value, as they change", async () => {
  await using world = new World();
  const [one, two] = [await world.open("one"), await world.open("two")];
  const stop = new AbortController();
  const seen: (string | undefined)[] = [];
  const target = { kind: "election", name: "boss" } as const;
  const watching = (async () => {
    for await (const entry of two.locks.watch(target, stop.signal)) {
      seen.push(entry && `${entry.memberId} ${entry.value}`);
    }
  })();
  const sees = (what: string | undefined) =>
    eventually(() => seen.at(-1) === what && seen.length > 0, `sees ${what}`);
  await sees(undefined);
  const grant = await one.take("boss", { kind: "election", value: "a" });
  await sees("one a");
  assert.equal(await grant.update("b".repeat(5000)), true);
  await sees(`one ${"b".repeat(5000)}`);
  assert.equal(await grant.update("c"), true);
  await sees("one c");
  await one.close();
  await sees(undefined);
  stop.abort();
  await watching;
});

test("close() gives everything back, rejects what waits, and leaves nothing behind", async () => {
  await using world = new World();
  const [one, two] = [await world.open("one"), await world.open("two")];
  await one.groups.create("team");
  await one.groups.join("team", { presence: "p", data: "1", replace: false });
  const grant = await one.take("job");
  const held = await two.take("other");
  const waiting = assert.rejects(one.take("other"), SessionLostError);
  await world.queued("other", 1);
  const next = two.take("job");
  await world.queued("job", 1);
  await Promise.all([one.close(), one.close()]);
  await waiting;
  await (await next).release();
  assert.deepEqual([await grant.release(), await grant.check(), grant.lost.aborted, one.lost.aborted], [
    false,
    false,
    false,
    false,
  ]);
  await assert.rejects(one.take("job"), SessionLostError);
  await assert.rejects(one.beat(), SessionLostError);
  await held.release();
  await two.close();
  assert.deepEqual(world.leftovers(), []);
});
