import assert from "node:assert/strict";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type Runtime, RUNTIMES } from "../processes/runtimes.ts";
import { World } from "./ipc_world.ts";
import { eventually } from "./party.ts";
import { take, testProcesses } from "./party_processes.ts";

testProcesses(() => new World());

const pairs = RUNTIMES.flatMap((holder) => RUNTIMES.map((waiter): [Runtime, Runtime] => [holder, waiter]));

test("a killed holder of any runtime is followed by a waiter of any other", async () => {
  await using world = new World();
  let last = 0n;
  for (const [holder, waiter] of pairs) {
    const [one, two] = [await world.worker(holder, "one"), await world.worker(waiter, "two")];
    const held = await take(one, "job");
    assert.ok(held.token > last);
    const next = take(two, "job");
    await world.queued("job", 1);
    one.kill();
    await one.exited;
    const start = performance.now();
    last = (await next).token;
    assert.ok(last > held.token);
    assert.ok(performance.now() - start < 2000, `${holder}, ${waiter}: ${performance.now() - start} ms`);
    await two.close();
  }
});

test("what killed processes leave is removed by the next user, of whatever namespace", async () => {
  await using killed = new World();
  await using next = new World();
  const workers = await Promise.all(RUNTIMES.map((runtime) => killed.worker(runtime)));
  for (const worker of workers) await take(worker, "job", { mode: "shared" });
  const bells = killed.bells();
  assert.equal(bells.length, 3);
  for (const worker of workers) worker.kill();
  await Promise.all(workers.map(({ exited }) => exited));
  const left = () => [killed.root, ...bells].filter((path) => fs.existsSync(path));
  assert.deepEqual(left(), [killed.root, ...bells]);
  // A process that looked before they were dead does not look again.
  const user = await next.worker("bun");
  assert.deepEqual(left(), []);
  await user.close();
  assert.equal(fs.existsSync(next.root), false);
});

test("a watcher that was killed is not rung for long", async () => {
  await using world = new World();
  const [one, watcher] = [await world.open("one"), await world.worker("deno")];
  await one.groups.create("team");
  await watcher.call("watch", "team");
  const registered = () => fs.readdirSync(`${world.root}/w/group/team`).length;
  assert.equal(registered(), 1);
  watcher.kill();
  await watcher.exited;
  await one.groups.join("team", { presence: "p", data: "{}", replace: false });
  assert.equal(fs.existsSync(`${world.root}/w/group/team`), false);
});

test("processes that come and go lose nothing of each other, and leave nothing", async () => {
  await using world = new World();
  const workers = await Promise.all([...RUNTIMES, "bun" as const].map((runtime) => world.spawn(runtime)));
  const from = performance.timeOrigin + performance.now() + 300;
  const options = { name: "job", marker: join(tmpdir(), world.namespace), ms: 3000, from };
  const all = await Promise.all(
    workers.map((worker) => worker.call("churn", world.url, world.namespace, options)),
  );
  const tokens = (all as bigint[][]).flat(); // What `churn` answers.
  assert.equal(new Set(tokens).size, tokens.length);
  for (const own of all as bigint[][]) {
    assert.ok(own.every((token, i) => i === 0 || token > (own[i - 1] ?? 0n)));
  }
  assert.equal(fs.existsSync(world.root), false);
});

test("groups of killed processes are there for the next one, and for others only after an hour", async () => {
  await using killed = new World();
  await using next = new World();
  const one = await killed.worker("bun");
  await one.call("create", "team");
  await one.call("join", "team", "{}");
  one.kill();
  await one.exited;
  await (await next.worker("bun")).close();
  const again = await killed.worker("bun", "again");
  await again.call("join", "team", "{}");
  again.kill();
  await again.exited;
  fs.utimesSync(`${killed.root}/s`, 0, Date.now() / 1000 - 3601);
  await (await next.worker("bun")).close();
  assert.equal(fs.existsSync(killed.root), false);
});

test("a session that a killed one left in a namespace in use is swept away", async () => {
  await using world = new World();
  const stays = await world.open("stays");
  const worker = await world.worker("deno");
  await take(worker, "job");
  worker.kill();
  await worker.exited;
  assert.equal(world.bells().length, 2);
  const grant = await stays.take("job");
  const next = await world.worker("node");
  assert.equal(world.bells().length, 2, "that of the killed one has gone, that of the new one has come");
  await eventually(() => world.bells().every((bell) => fs.existsSync(bell)), "only the dead one's bell went");
  await next.close();
  assert.equal(await grant.check(), true);
});
