// What may fall between two steps of another process, made to do so.
import assert from "node:assert/strict";
import * as fs from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ConnectionError } from "../../core/errors.ts";
import type { Grant, GroupSnapshot } from "../../driver.ts";
import { encodeName } from "../../internal/files/names.ts";
import { loadPlatform } from "../../internal/platform/platform.ts";
import { nodeDisk } from "../../internal/platform/node_disk.ts";
import { within } from "../conformance/waiting.ts";
import { eventually, type Party, World } from "./file_world.ts";

const BOSS = { kind: "election", name: "boss" } as const;
const JOB = { kind: "lock", name: "job" } as const;

/** Makes a file look as it does in the middle of a write, until the returned function is called. */
function tear(path: string): () => void {
  const whole = fs.readFileSync(path);
  const last = whole.length - 1;
  fs.writeFileSync(path, Buffer.from(whole).fill((whole[last] ?? 0) ^ 1, last), { flag: "r+" });
  return () => fs.writeFileSync(path, whole, { flag: "r+" });
}

test("a record that is just being written is no absence: it is read again", async () => {
  await using world = new World();
  const [one, two] = [await world.open("one"), await world.open("two")];
  await one.take(BOSS.name, { kind: "election", value: "a".repeat(2000) });
  const stop = new AbortController();
  const seen: (string | undefined)[] = [];
  const watching = (async () => {
    for await (const entry of two.locks.watch(BOSS, stop.signal)) seen.push(entry?.memberId);
  })();
  await eventually(() => seen.at(-1) === "one", "the leader is seen");
  const mend = tear(join(world.root, "e", encodeName(BOSS.name), "lock"));
  const reading = two.locks.entries(BOSS);
  await sleep(30);
  mend();
  assert.deepEqual((await reading).map(({ memberId }) => memberId), ["one"]);
  // Longer than a watch waits until it looks by itself.
  const again = tear(join(world.root, "e", encodeName(BOSS.name), "lock"));
  await sleep(400);
  again();
  stop.abort();
  await watching;
  assert.deepEqual(seen, ["one"]);
});

/** Runs something once the readers of a lock were looked at, and once another file took its place. */
async function aroundBreak(
  steps: { looked: () => unknown; replaced: () => unknown },
  act: () => Promise<void>,
): Promise<void> {
  const { list, rename } = nodeDisk;
  nodeDisk.list = (path) => {
    const names = list(path);
    if (!path.endsWith("/h")) return names;
    nodeDisk.list = list;
    steps.looked();
    return names;
  };
  nodeDisk.rename = (from, to) => {
    rename(from, to);
    if (!to.endsWith("/lock")) return;
    nodeDisk.rename = rename;
    steps.replaced();
  };
  try {
    await act();
  } finally {
    Object.assign(nodeDisk, { list, rename });
  }
}

test("break() leaves the record of a reader that has the new lock already, and none of the old", async () => {
  await using world = new World();
  const open = () => world.open(crypto.randomUUID());
  const [holder, early, late, breaker] = [await open(), await open(), await open(), await open()];
  await holder.take("job", { mode: "shared" });
  const grants: Promise<Grant>[] = [];
  const read = (party: Party) => grants.push(party.take("job", { mode: "shared" }));
  await aroundBreak({ looked: () => read(early), replaced: () => read(late) }, async () => {
    assert.equal(await breaker.locks.break(JOB), true);
  });
  const [former, present] = await Promise.all(grants);
  assert.ok(former && present && present.token > former.token);
  assert.deepEqual((await breaker.entries("job")).map(({ token }) => token), [present.token]);
  await eventually(() => former.lost.aborted, "who came before is told");
  assert.equal(present.lost.aborted, false);
});

test("two updates at one moment are told apart, though the file looks the same", async () => {
  await using world = new World();
  const [one, two] = [await world.open("one"), await world.open("two")];
  await one.groups.create("g");
  const { stampOf } = nodeDisk;
  try {
    // As where the clock of files stands still between the two, and the second has the inode of the first.
    nodeDisk.stampOf = (path) => {
      const stamp = stampOf(path);
      return stamp && path.endsWith(".json") ? { text: "the same", modified: stamp.modified } : stamp;
    };
    await one.groups.join("g", { presence: "p", data: "1", replace: false });
    const stop = new AbortController();
    const seen: (string | undefined)[] = [];
    const show = (snapshot: GroupSnapshot | undefined) => snapshot?.members.get("one")?.data;
    const watching = (async () => {
      for await (const snapshot of two.groups.watch("g", stop.signal)) seen.push(show(snapshot));
    })();
    await eventually(() => seen.at(-1) === "1", "the first is seen");
    await one.groups.update("g", "one", "2");
    await eventually(() => seen.at(-1) === "2", "the second is seen");
    stop.abort();
    await watching;
  } finally {
    nodeDisk.stampOf = stampOf;
  }
});

/** Holds files as a process does that was stopped with them locked. */
async function stopIn(world: World, paths: readonly string[]): Promise<() => void> {
  const platform = await loadPlatform();
  const files = paths.map((path) => platform.open(path, "create"));
  for (const file of files) assert.equal(file.tryLock(true), true);
  let isOver = false;
  const end = () => {
    if (isOver) return;
    isOver = true;
    for (const file of files) {
      file.unlock();
      file.close();
    }
  };
  world.defer(end);
  return end;
}

test("close() has one deadline, however many gates somebody stopped in", async () => {
  await using world = new World();
  const one = await world.open("one", { timeout: 1000 });
  const ids = ["a", "b", "c", "d", "e", "f"];
  for (const id of ids) {
    await one.groups.create(id);
    await one.groups.join(id, { presence: id, data: "{}", replace: false });
  }
  await stopIn(world, ids.map((id) => join(world.root, "g", encodeName(id), "gate")));
  await within(one.close(), "it is closed", 2500);
});

test("break() says in time that somebody stopped where tokens are reserved, and works afterwards", async () => {
  await using world = new World();
  const [one, two] = [await world.open("one"), await world.open("two", { timeout: 500 })];
  await one.take("job");
  const resume = await stopIn(world, [join(world.root, "l", encodeName("job"), "fence")]);
  await assert.rejects(
    within(two.locks.break(JOB), "it has an answer"),
    (error) => error instanceof ConnectionError && /fence".*is that stopped\?/.test(error.message),
  );
  resume();
  assert.equal(await two.locks.break(JOB), true);
});

test("readers behind a writer that was killed are let in together, though nobody rang", async () => {
  await using world = new World();
  const [one, holder] = [await world.open("one"), await world.worker("deno")];
  await holder.call("take", "job", {});
  // The last of so many would not look by itself for some seconds.
  const readers = Array.from({ length: 200 }, () => one.take("job", { mode: "shared" }));
  await world.queued("job", readers.length);
  holder.kill();
  await within(Promise.all(readers), "all of them read", 2500);
});

test("who waits is seen by those who let go and those who try", async () => {
  await using world = new World();
  const [one, two, three] = [await world.open("one"), await world.open("two"), await world.open("three")];
  // From here on each knows that nobody waited.
  for (const party of [one, two, three]) await (await party.take("job")).release();
  const held = await one.take("job");
  const waiting = two.take("job");
  await world.queued("job", 1);
  assert.equal(await held.release(), true);
  assert.equal(await three.ask("job", { wait: false }), undefined);
  assert.equal(await (await within(waiting, "the waiter has it")).release(), true);
});
