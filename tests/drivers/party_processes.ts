import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { RUNTIMES } from "../processes/runtimes.ts";
import type { Worker } from "../processes/spawn.ts";
import { eventually, type PartyWorld } from "./party.ts";

/** What a worker answers for a lock that it took. */
interface Taken {
  readonly token: bigint;
  readonly at: number;
}

export const take = (worker: Worker, name: string, options = {}) =>
  worker.call("take", name, options) as Promise<Taken>;
const now = () => performance.timeOrigin + performance.now();

/** What holds of every driver whose sessions are processes of one machine. */
export function testProcesses(create: () => PartyWorld): void {
  test("Deno, Bun and Node exclude one another, and tokens grow between them", async () => {
    await using world = create();
    const workers = await Promise.all(
      [...RUNTIMES, ...RUNTIMES].map((runtime, i) => world.worker(runtime, `w${i}`)),
    );
    const from = now() + 300;
    const all = await Promise.all(workers.map((worker) => worker.call("contend", "job", { ms: 1500, from })));
    const tokens = (all as bigint[][]).flat(); // What `contend` answers.
    assert.equal(new Set(tokens).size, tokens.length);
    for (const own of all as bigint[][]) {
      assert.ok(own.every((token, i) => i === 0 || token > (own[i - 1] ?? 0n)));
      assert.ok(
        own.length > tokens.length / all.length / 4,
        `shares ${(all as bigint[][]).map(({ length }) => length)}`,
      );
    }
    await world.queued("job", 0);
  });

  for (const runtime of RUNTIMES) {
    test(`what a killed ${runtime} held is free at once, and its place in the line too`, async () => {
      await using world = create();
      const [holder, waiter] = [await world.worker(runtime, "holder"), await world.worker(runtime, "waiter")];
      const one = await world.open("one");
      const held = await take(holder, "job");
      const lost = take(waiter, "job").catch(() => undefined);
      await world.queued("job", 1);
      const next = one.take("job");
      await world.queued("job", 2);
      waiter.kill();
      await waiter.exited;
      holder.kill();
      await holder.exited;
      const start = performance.now();
      const grant = await next;
      assert.ok(performance.now() - start < 1000, `it took ${performance.now() - start} ms`);
      assert.ok(grant.token > held.token);
      assert.deepEqual((await one.entries("job")).map(({ memberId }) => memberId), ["one"]);
      await lost;
    });

    test(`no child of ${runtime} inherits a lock`, async () => {
      await using world = create();
      const worker = await world.worker(runtime);
      await take(worker, "job");
      const child = await worker.call("spawn") as number; // Its process id.
      world.defer(() => process.kill(child));
      await worker.call("release", "job");
      const one = await world.open("one");
      await (await one.take("job", { wait: false })).release();
      await take(worker, "job");
      await take(worker, "other", { mode: "shared" });
      worker.kill();
      await worker.exited;
      const start = performance.now();
      await Promise.all([one.take("job"), one.take("other")]);
      assert.ok(performance.now() - start < 1000, "the child kept a lock of its killed parent");
      assert.deepEqual((await one.entries("job")).map(({ memberId }) => memberId), ["one"]);
    });
  }

  test("a stopped head of the line keeps the others for a second, not for ever", async () => {
    await using world = create();
    const [stopped, one, two] = [
      await world.worker("node", "stopped"),
      await world.open("one"),
      await world.open("two"),
    ];
    const held = await one.take("job");
    const first = take(stopped, "job");
    await world.queued("job", 1);
    const second = two.take("job");
    await world.queued("job", 2);
    stopped.kill("SIGSTOP");
    await held.release();
    const start = performance.now();
    const grant = await second;
    assert.ok(
      performance.now() - start > 900 && performance.now() - start < 5000,
      `${performance.now() - start} ms`,
    );
    stopped.kill("SIGCONT");
    await sleep(100);
    assert.equal(await grant.check(), true);
    await grant.release();
    assert.ok((await first).token > grant.token);
  });

  test("break() reaches a holder in another process at once", async () => {
    await using world = create();
    const one = await world.open("one");
    for (const runtime of RUNTIMES) {
      const worker = await world.worker(runtime);
      const { token } = await take(worker, runtime);
      const told = worker.call("lost", runtime);
      assert.equal(await one.locks.break({ kind: "lock", name: runtime }), true);
      assert.ok((await one.take(runtime, { wait: false })).token > token);
      assert.equal(await told, "LockBrokenError");
      assert.deepEqual((await worker.call("release", runtime) as { released: boolean }).released, false);
    }
  });

  test("members of a killed process are gone, and watches see it", async () => {
    await using world = create();
    const one = await world.open("one");
    await one.groups.create("team");
    const workers = await Promise.all(RUNTIMES.map((runtime) => world.worker(runtime)));
    for (const worker of workers) await worker.call("join", "team", "{}");
    const stop = new AbortController();
    let members: string[] = [];
    const watching = (async () => {
      for await (const snapshot of one.groups.watch("team", stop.signal)) {
        members = [...snapshot?.members.keys() ?? []].sort();
      }
    })();
    await eventually(() => members.length === 3, "all are seen");
    const [deno] = workers;
    deno?.kill();
    await eventually(() => members.join() === "bun,node", "the killed one is gone");
    assert.deepEqual([...(await one.groups.members("team")).members.keys()].sort(), ["bun", "node"]);
    stop.abort();
    await watching;
  });
}
