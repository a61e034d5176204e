// What is read of holders and waiters beside those who write it, and who is rung.
import assert from "node:assert/strict";
import * as fs from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ConnectionError } from "../../core/errors.ts";
import type { Entry, Grant, Target } from "../../driver.ts";
import type { LockFile } from "../../internal/platform/flock.ts";
import { loadPlatform } from "../../internal/platform/platform.ts";
import { eventually, type Party, World } from "./file_world.ts";

const BOSS: Target = { kind: "election", name: "boss" };
const JOB: Target = { kind: "lock", name: "job" };

/** Locks a file as another program would, until it is unlocked or the test ends. */
async function hold(world: World, path: string): Promise<LockFile> {
  const file = (await loadPlatform()).open(path, "create");
  world.defer(() => file.close());
  assert.ok(file.tryLock(true), `${path} is locked`);
  return file;
}

/** A lock file in the middle of an update of its record to `value`, which `finish` completes. */
async function half(path: string, grant: Grant, value: string): Promise<{ finish(): void }> {
  const fd = fs.openSync(path, "r+");
  await grant.update(value.replaceAll(/./g, "-"));
  const before = fs.readFileSync(path);
  await grant.update(value);
  const after = fs.readFileSync(path);
  const middle = before.length >> 1;
  fs.writeSync(fd, before, middle, before.length - middle, middle);
  return {
    finish() {
      fs.writeSync(fd, after, 0, after.length, 0);
      fs.closeSync(fd);
    },
  };
}

/** So many rings to try again has the session had that waits in this place of the line. */
function ringer(world: World, place = 0): () => number {
  const tickets = fs.readdirSync(join(world.root, "l", "job", "q")).sort();
  const [, , sid = ""] = tickets[place]?.split("-") ?? [];
  const bell = join(world.root, "s", sid);
  return () => fs.readFileSync(bell, "latin1").split("wait lock/job\n").length - 1;
}

/** Makes a session know that nobody waited. */
async function calm(party: Party): Promise<void> {
  await (await party.take("job")).release();
}

test("watch() never tells that nobody leads while the record is being written", async () => {
  await using world = new World();
  const [one, two] = [await world.open("one"), await world.open("two")];
  const grant = await one.take("boss", { kind: "election" });
  const path = join(world.root, "e", "boss", "lock");
  const seen: (Entry | undefined)[] = [];
  const stop = new AbortController();
  let value = "a".repeat(2000);
  let torn = await half(path, grant, value);
  const watching = (async () => {
    for await (const entry of two.locks.watch(BOSS, stop.signal)) seen.push(entry);
  })();
  for (const next of ["b", "c", "d"]) {
    await sleep(20);
    torn.finish();
    await eventually(() => seen.at(-1)?.value === value, "it sees the value");
    value = next.repeat(2000);
    torn = await half(path, grant, value);
  }
  torn.finish();
  stop.abort();
  await watching;
  assert.equal(seen.filter((entry) => entry === undefined).length, 0);
});

test("entries() sees the leader while another process proclaims 2 kB again and again", async () => {
  await using world = new World();
  const worker = await world.worker("deno");
  const two = await world.open("two");
  await worker.call("take", "boss", { kind: "election", value: "x" });
  const proclaiming = worker.call("proclaim", "boss", { ms: 2000, size: 2000 });
  let done = false;
  void proclaiming.then(() => done = true, () => done = true);
  let reads = 0;
  for (; !done; reads++) {
    assert.equal((await two.entries("boss", "election")).length, 1, `read ${reads}`);
    if (reads % 100 === 0) await sleep(0);
  }
  await proclaiming;
  assert.ok(reads > 100, `${reads} reads`);
});

test("what a killed writer left torn is nobody's, at once", async () => {
  await using world = new World();
  const [one, two] = [await world.open("one"), await world.open("two", { timeout: 60_000 })];
  await calm(one);
  fs.writeFileSync(world.path("job"), "-".repeat(100));
  let entries: Entry[] | undefined;
  void two.entries("job").then((read) => entries = read);
  await eventually(() => entries !== undefined, "it is answered");
  assert.deepEqual(entries, []);
  assert.equal(await two.locks.break(JOB), false);
});

test("entries() says so when another program holds a lock file with contents of its own", async () => {
  await using world = new World();
  const one = await world.open("one", { timeout: 200 });
  await calm(one);
  const foreign = await hold(world, world.path("job"));
  fs.writeFileSync(world.path("job"), "-".repeat(100));
  await assert.rejects(
    one.entries("job"),
    (error) => error instanceof ConnectionError && /contents were torn/.test(error.message),
  );
  assert.equal(await one.locks.break(JOB), true);
  assert.ok(await one.ask("job", { wait: false }));
  foreign.unlock();
});

test("break() marks the new file, so that no try overtakes who waits", async () => {
  await using world = new World();
  const [one, two, three] = [await world.open("one"), await world.open("two"), await world.open("three")];
  await one.take("job");
  const next = two.take("job");
  await world.queued("job", 1);
  assert.equal(await one.locks.break(JOB), true);
  assert.equal(await three.ask("job", { wait: false }), undefined);
  assert.equal(await (await next).release(), true);
});

test("release() rings who still waits when the first in the line has taken the mark back", async () => {
  await using world = new World();
  const [one, two, three] = [await world.open("one"), await world.open("two"), await world.open("three")];
  const grant = await one.take("job");
  const next = two.take("job").then((second) => second.release());
  await world.queued("job", 1);
  const last = three.take("job");
  await world.queued("job", 2);
  const rings = ringer(world, 1);
  const before = rings();
  await grant.release();
  await next;
  assert.equal(rings(), before + 1);
  await (await last).release();
});

test("a reader's try that was in the way of the first in the line rings it", async () => {
  await using world = new World();
  const [one, two, three] = [await world.open("one"), await world.open("two"), await world.open("three")];
  await calm(three);
  const reader = await one.take("job", { mode: "shared" });
  const writer = two.take("job");
  await world.queued("job", 1);
  const rings = ringer(world);
  const before = rings();
  assert.equal(await three.ask("job", { mode: "shared", wait: false }), undefined);
  assert.equal(rings(), before + 1);
  await reader.release();
  await (await writer).release();
});
