import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { RUNTIMES } from "../processes/runtimes.ts";
import { eventually, World } from "./file_world.ts";
import { take, testProcesses } from "./party_processes.ts";

testProcesses(() => new World());

/** `flock(1)` on a path: holds it until told to let go. */
function flock(world: World, path: string): { letGo(): void } {
  const child = spawn("flock", [path, "cat"], { stdio: ["pipe", "ignore", "ignore"] });
  const letGo = () => void child.stdin?.end();
  world.defer(letGo);
  return { letGo };
}

/** Whether somebody holds it, as `flock(1)` sees it. */
async function isLocked(path: string): Promise<boolean> {
  const child = spawn("flock", ["-n", path, "true"], { stdio: "ignore" });
  return await new Promise((resolve) => child.once("exit", (code) => resolve(code === 1)));
}

const NO_FLOCK = existsSync("/usr/bin/flock") ? {} : { skip: "flock(1) is not installed" };

for (const runtime of RUNTIMES) {
  test(`${runtime} and flock(1) exclude each other on the stable path`, NO_FLOCK, async () => {
    await using world = new World();
    const worker = await world.worker(runtime);
    const { token } = await take(worker, "job");
    assert.equal(await isLocked(world.path("job")), true);
    await worker.call("release", "job");
    const other = flock(world, world.path("job"));
    await eventually(() => isLocked(world.path("job")), "flock(1) holds it");
    assert.equal(await worker.call("take", "job", { wait: false }), undefined);
    const next = take(worker, "job");
    await world.queued("job", 1);
    other.letGo();
    assert.ok((await next).token > token);
  });
}

test("break() takes the lock from flock(1), too", NO_FLOCK, async () => {
  await using world = new World();
  const one = await world.open("one");
  await (await one.take("job")).release();
  flock(world, world.path("job"));
  await eventually(() => isLocked(world.path("job")), "flock(1) holds it");
  assert.equal(await one.locks.break({ kind: "lock", name: "job" }), true);
  assert.ok(await one.ask("job", { wait: false }));
});
