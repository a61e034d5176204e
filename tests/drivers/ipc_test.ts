import assert from "node:assert/strict";
import * as fs from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ipc } from "../../drivers/ipc.ts";
import { fineTime } from "../../drivers/ipc/clock.ts";
import { prepare, removeIfUnused } from "../../drivers/ipc/directory.ts";
import { failures } from "../../drivers/ipc/failure.ts";
import { ProcessBell, useBell } from "../../drivers/ipc/process_bell.ts";
import { systemClock } from "../../internal/clock.ts";
import { joinEpoch } from "../../internal/files/epoch.ts";
import { isSame, type Platform } from "../../internal/platform/flock.ts";
import { loadLibc } from "../../internal/platform/libc.ts";
import { libcDisk } from "../../internal/platform/libc_disk.ts";
import { ofdPlatform } from "../../internal/platform/ofd.ts";
import { shared, World } from "./ipc_world.ts";
import { getCoordinator } from "../../mod.ts";
import { within } from "../conformance/waiting.ts";
import { LateError } from "../late.ts";
import { longestTurn } from "../processes/turns.ts";
import { eventually, lost } from "./party.ts";

test("ipc() refuses what it cannot use", () => {
  for (const url of ["file:///a", "ipc://host", "ipc:///a", "ipc:a"]) {
    assert.throws(() => ipc(url), /want ipc: and nothing but options/);
  }
  assert.throws(() => ipc("ipc:?namespac=a"), /did you mean "namespace"/);
  const unknown = { directory: "/tmp" } as object; // As a program without types may do.
  assert.throws(() => ipc("ipc:", unknown), /it takes none/);
  for (const url of [undefined, "ipc:", "ipc://", "ipc:?namespace=a", new URL("ipc:?ttl=1000")]) {
    assert.equal(ipc(url).driver, "ipc");
  }
});

test("a system that is not supported is told by its name", async () => {
  for (const system of [["darwin", "arm64"], ["win32", "x64"], ["linux", "ia32"]] as const) {
    const [platform, arch] = system;
    await assert.rejects(loadLibc({ platform, arch }), new RegExp(`${platform} on ${arch} is not supported`));
  }
});

test("a lock belongs to its descriptor: two of one process exclude each other", async () => {
  await using world = new World();
  await world.open("one");
  const platform = ofdPlatform(await loadLibc());
  const [one, two] = [platform.open(`${world.root}/x`, "create"), platform.open(`${world.root}/x`, "write")];
  assert.deepEqual([one.tryLock(true), two.tryLock(true), two.tryLock(false)], [true, false, false]);
  assert.deepEqual([one.tryLock(false), two.tryLock(false), one.tryLock(true)], [true, true, false]);
  two.close();
  assert.equal(one.tryLock(true), true);
  one.close();
});

test("nothing is left once all have closed", async () => {
  await using world = new World();
  const [one, two] = [await world.open("one"), await world.open("two")];
  await one.groups.create("team");
  await one.groups.join("team", { presence: "p", data: "1", replace: false });
  const stop = new AbortController();
  const watching = two.groups.watch("team", stop.signal)[Symbol.asyncIterator]();
  await watching.next();
  await one.take("job");
  const waiting = two.take("job");
  await world.queued("job", 1);
  const bells = world.bells();
  await one.close();
  await waiting;
  stop.abort();
  await watching.next();
  assert.deepEqual([world.root, ...bells].map((path) => fs.existsSync(path)), [true, true]);
  await two.close();
  assert.deepEqual([world.root, ...bells].map((path) => fs.existsSync(path)), [false, false]);
});

test("a coordinator alone that has lost its session finds its groups again", async () => {
  await using world = new World();
  const options = { namespace: world.namespace, ttl: 600, heartbeat: "manual" } as const;
  await using coordinator = await getCoordinator(ipc(), options);
  const group = coordinator.group("team");
  await group.create();
  await lost(coordinator.session.signal);
  assert.deepEqual([...(await group.members()).keys()], []);
});

test("of two that close at once, one removes what both have used", async () => {
  for (let i = 0; i < 20; i++) {
    await using world = new World();
    const [one, two] = [await world.worker("bun", "one"), await world.worker("bun", "two")];
    await Promise.all([one.close(), two.close()]);
    assert.equal(fs.existsSync(world.root), false);
  }
});

test("who leaves while another leaves too is not in its way", async () => {
  await using world = new World();
  const libc = await loadLibc();
  const means = { platform: ofdPlatform(libc), disk: libcDisk(libc), clock: systemClock };
  const tools = { libc, ...means, fineTime: fineTime(libc) };
  const { epoch: path } = prepare(tools, world.namespace);
  const [one, two] = [tools.platform.open(path, "create"), tools.platform.open(path, "create")];
  assert.deepEqual([one.tryLock(false), two.tryLock(false)], [true, true]);
  removeIfUnused(tools, world.root, one);
  assert.equal(fs.existsSync(world.root), true);
  removeIfUnused(tools, world.root, two);
  assert.equal(fs.existsSync(world.root), false);
  for (const file of [one, two]) file.close();
});

test("a namespace that is moved out of sight while somebody joins is joined where it is made anew", async () => {
  await using world = new World();
  await world.open("one");
  const [path, platform] = [`${world.root}/epoch`, ofdPlatform(await loadLibc())];
  let moved = 0;
  const open: Platform["open"] = (from, access) => {
    const file = platform.open(from, access);
    return {
      identity: () => file.identity(),
      tryLock(exclusive) {
        // At the last moment before it is joined.
        if (!exclusive && moved++ === 0) fs.renameSync(path, `${path}.gone`);
        return file.tryLock(exclusive);
      },
      unlock: () => file.unlock(),
      read: (into, position) => file.read(into, position),
      write: (bytes, position) => file.write(bytes, position),
      sync: () => file.sync(),
      close: () => file.close(),
    };
  };
  const joined = await joinEpoch(path, {
    platform: { open, identify: (from) => platform.identify(from) },
    failures,
    clock: systemClock,
    timeout: 10_000,
    signal: new AbortController().signal,
  });
  assert.equal(isSame(joined.file.identity(), platform.identify(path)), true);
  assert.ok(moved > 1);
  joined.file.close();
});

test("the time that tokens start from tells more than milliseconds", async () => {
  const now = fineTime(await loadLibc());
  const times = Array.from({ length: 100 }, now);
  assert.ok(times.some((time) => !Number.isInteger(time)), times.join());
  assert.ok(Math.abs(now() - Date.now()) < 60_000);
});

test("directories of idle locks do not pile up, and tokens go on growing", async () => {
  await using world = new World();
  const one = await world.open("one");
  const first = await one.take("lock 0");
  await first.release();
  for (let i = 0; i < 300; i++) await (await one.take(`lock ${i}`)).release();
  assert.ok(world.locks().length < 100, `${world.locks().length} directories`);
  const held = await one.take("held", { mode: "shared" });
  for (let i = 300; i < 400; i++) await (await one.take(`lock ${i}`)).release();
  assert.ok(world.locks().includes("held"));
  await held.release();
  assert.ok(!world.locks().includes("held"), "it goes with its holder where it is not kept");
  assert.ok((await one.take("lock 0")).token > first.token);
});

test("tokens grow over restarts, a break, and a namespace that was removed", async () => {
  await using world = new World();
  let last = 0n;
  for (const step of ["take", "break", "again", "remove", "after"]) {
    const party = await world.open("one");
    const grant = await party.take("job");
    assert.ok(grant.token > last && grant.token < 2n ** 63n, `${step}: ${grant.token} after ${last}`);
    last = grant.token;
    if (step === "break") await party.locks.break({ kind: "lock", name: "job" });
    if (step === "remove") fs.rmSync(world.root, { recursive: true });
    await party.close();
  }
});

test("tokens grow within a namespace in use although the clock of the system is behind them", async () => {
  await using world = new World();
  const [one, two] = [await world.open("one"), await world.open("two")];
  // As if it had been set back by an hour since.
  const ahead = BigInt(Date.now() + 3_600_000) * 1_000_000n;
  fs.writeFileSync(`${world.root}/fence`, String(ahead));
  const { token } = await one.take("job");
  assert.ok(token > ahead);
  await one.close();
  assert.ok(!world.locks().includes("job"), "the idle lock is gone");
  assert.ok((await two.take("job")).token > token);
});

test("names never meet and never leave the directory", async () => {
  await using world = new World();
  const one = await world.open("one");
  const names = ["../x", "a/b", "a%2fb", "%", ".", "..", "Job", "job", "jöb", "😀", "x".repeat(1024)];
  names.push(`${"x".repeat(1023)}y`, "é".repeat(512), "a b", "-", "\n");
  for (const name of names) assert.ok(await one.ask(name, { wait: false }), `"${name}" is another lock`);
  for (const name of names) {
    assert.ok(await one.ask(name, { wait: false, kind: "election" }), `"${name}" is another election`);
    await one.groups.create(name);
    await one.groups.join(name, { presence: name, data: "{}", replace: false });
  }
  assert.deepEqual((await one.groups.list()).sort(), names.sort());
  assert.equal(fs.existsSync("/dev/shm/x"), false);
  await one.close();
  assert.equal(fs.existsSync(world.root), false);
});

test("namespaces never meet and never leave /dev/shm", async () => {
  await using world = new World();
  const names = ["../x", "X", "x", "a/b", "a%2fb", "😀", "..", "x".repeat(1024)];
  for (const name of names) {
    const party = await world.open("one", { namespace: `${world.namespace}/${name}` });
    await party.take("job", { wait: false });
  }
  const made = shared(`tooz-coord-${world.namespace}%2f`);
  assert.equal(made.length, names.length);
});

test("300 waiters are served in their order, however many they are", async () => {
  await using world = new World();
  const first = await (await world.open("first")).take("job");
  const order: number[] = [];
  const waits: Promise<unknown>[] = [];
  for (let i = 0; i < 300; i++) {
    const party = await world.open(`w${i}`);
    const served = party.take("job").then((grant) => {
      order.push(i);
      return grant.release();
    });
    waits.push(served);
    await world.queued("job", i + 1);
  }
  await first.release();
  await Promise.all(waits);
  assert.deepEqual(order, [...order].sort((a, b) => a - b));
});

test("a wait leaves the event loop alone", async () => {
  await using world = new World();
  const [one, two] = [await world.open("one"), await world.open("two")];
  const grant = await one.take("job");
  const next = two.take("job");
  await world.queued("job", 1);
  let turns = 0;
  for (const end = performance.now() + 1000; performance.now() < end; turns++) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  // If it were stopped for each slice of the wait, there would be 50 at most.
  assert.ok(turns > 500, `it turned ${turns} times in a second`);
  await grant.release();
  await next;
});

test("a wait, from its beginning to its grant, never blocks the event loop for a millisecond", async () => {
  await using world = new World();
  const [one, two] = [await world.open("one"), await world.open("two")];
  const libc = await loadLibc();
  const means = { platform: ofdPlatform(libc), disk: libcDisk(libc), clock: systemClock };
  // That of the process, which both sessions use.
  const { bell } = useBell({ libc, ...means, fineTime: fineTime(libc) });
  const pass = () => sleep(10);
  const wait = async () => {
    const { promise: heard, resolve } = Promise.withResolvers<void>();
    const stop = bell.listen(resolve);
    const grant = await one.take("job");
    const next = two.take("job");
    await world.queued("job", 1);
    await pass();
    await grant.release();
    await (await next).release();
    // The process waits anew then. Who waits for the lock may have looked before.
    await within(heard, "the bell has rung");
    stop();
  };
  const [idle, busy]: [number[], number[]] = [[], []];
  // In some the machine stands still, or the runtime compiles or collects garbage; who blocks does so in each.
  for (let i = 0; i < 1_000 && (i < 20 || Math.min(...busy) > 1); i++) {
    idle.push(await longestTurn(pass()));
    busy.push(await longestTurn(wait()));
  }
  await bell.leave();
  const [without, during] = [Math.min(...idle), Math.min(...busy)];
  console.log(
    `ipc: the longest turn of the event loop took ${during.toFixed(2)} ms in a wait, ` +
      `${without.toFixed(2)} ms without one; the best of ${busy.length}`,
  );
  if (without > 1) throw new LateError("Not once within 1 ms: a turn of the event loop without a wait");
  assert.ok(during <= 1, `it took ${during} ms`);
});

test("where no thread can wait, the process looks by itself", async () => {
  const libc = await loadLibc();
  const waiter = () => ({ wait: () => Promise.reject(new Error("there is none")), end() {} });
  const means = { platform: ofdPlatform(libc), disk: libcDisk(libc), clock: systemClock };
  const bell = ProcessBell.create({ libc: { ...libc, waiter }, ...means, fineTime: fineTime(libc) });
  bell.use();
  let rings = 0;
  bell.listen(() => rings++);
  for (let i = 1; i <= 3; i++) {
    bell.ring(bell.id);
    await eventually(() => rings === i, "the ring is heard");
  }
  await bell.leave();
  assert.equal(fs.existsSync(`/dev/shm/sem.tooz-coord-${bell.id}`), false);
});

test("changes are pushed to those who watch, wherever they are", async () => {
  await using world = new World();
  const [one, two] = [await world.open("one"), await world.open("two")];
  await one.groups.create("team");
  const stop = new AbortController();
  const sizes: (number | undefined)[] = [];
  const watching = (async () => {
    for await (const snapshot of two.groups.watch("team", stop.signal)) sizes.push(snapshot?.members.size);
  })();
  await eventually(() => sizes.at(-1) === 0, "the group as it is");
  const took: number[] = [];
  for (let i = 0; i < 20; i++) {
    await sleep(Math.random() * 5);
    const start = performance.now();
    await one.groups.join("team", { presence: `${i}`, data: "{}", replace: false });
    await eventually(() => sizes.at(-1) === 1, "it has joined");
    await one.groups.remove("team", "one", `${i}`);
    await eventually(() => sizes.at(-1) === 0, "it has left");
    took.push(performance.now() - start);
  }
  // Two looks without a push would take 350 ms.
  assert.ok((took.sort((a, b) => a - b)[10] ?? NaN) < 100, `${took}`);
  stop.abort();
  await watching;
  const registered = fs.existsSync(`${world.root}/w/group/team`);
  assert.equal(registered, false, "who has stopped watching is not rung any more");
});
