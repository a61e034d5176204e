import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { ConnectionError, LockLostError, SessionLostError } from "../../core/errors.ts";
import { ipc } from "../../drivers/ipc.ts";
import { getCoordinator } from "../../mod.ts";
import { currentRuntime, runtimeProgram } from "../processes/runtimes.ts";
import type { Worker } from "../processes/spawn.ts";
import { World } from "./ipc_world.ts";
import { lost } from "./party.ts";
import { take } from "./party_processes.ts";

const NO_ROOT = process.getuid?.() === 0 ? {} : { skip: "only root may mount, and be another user" };
const NOBODY = 65534;
const TTL = 1500;

const refuses = (world: World, message: RegExp) =>
  assert.rejects(
    world.open("one"),
    (error) => error instanceof ConnectionError && message.test(error.message),
  );

/** A process that has a small /dev/shm of its own. */
function withOwn(world: World, options: string): Promise<Worker> {
  const script = `mount -t tmpfs -o ${options} coord-test /dev/shm && exec "$@"`;
  return world.spawn(currentRuntime, ["unshare", "--mount", "sh", "-c", script, "sh"]);
}

const fails = (call: Promise<unknown>, message: RegExp, name = "ConnectionError") =>
  assert.rejects(call, { name, message });

test("what another user has is told with both users", NO_ROOT, async () => {
  await using world = new World();
  fs.mkdirSync(world.root, { mode: 0o700 });
  fs.chownSync(world.root, NOBODY, NOBODY);
  await refuses(world, /belongs to user 65534, and this is user 0; run as one user, or choose another name/);
});

/** Starts a program as another user. */
const AS_NOBODY = ["setpriv", `--reuid=${NOBODY}`, "--clear-groups"];

/** The checkout may stand where only root can go. */
function canNobodyRun(): boolean {
  const script = fileURLToPath(import.meta.url);
  const both = `test -r "${script}" && test -x "${runtimeProgram("bun")}"`;
  return spawnSync("setpriv", [...AS_NOBODY.slice(1), "sh", "-c", both]).status === 0;
}

const NO_OTHER = canNobodyRun() ? {} : { skip: "there is no other user who can run this" };

test("another user is refused what this one has", NO_OTHER, async () => {
  await using world = new World();
  await world.open("one");
  const other = await world.spawn("bun", [...AS_NOBODY, "env", "HOME=/tmp"]);
  await fails(
    other.call("open", world.url, "two", world.namespace),
    /belongs to user 0, and this is user 65534/,
  );
  await other.call("open", world.url, "two", `${world.namespace}-2`);
  await other.close();
});

test("a directory that others may write to, a link and a file are refused", async () => {
  await using first = new World();
  await using world = new World();
  // From now on this process looks for nothing that killed ones left.
  await first.open("first");
  fs.mkdirSync(world.root);
  fs.chmodSync(world.root, 0o777);
  await refuses(world, /other users may write to it/);
  fs.rmdirSync(world.root);
  fs.symlinkSync("/tmp", world.root);
  await refuses(world, /it is no directory/);
  fs.unlinkSync(world.root);
  fs.writeFileSync(world.root, "");
  await refuses(world, /it is no directory/);
});

test("a full /dev/shm is told, loses nothing, and is survived", NO_ROOT, async () => {
  await using world = new World();
  const worker = await withOwn(world, "size=256k,mode=1777");
  await worker.call("open", "ipc:", "one", "a");
  const held = await take(worker, "held");
  await worker.call("shell", "head -c 1M /dev/zero > /dev/shm/fill || true");
  await fails(take(worker, "fresh"), /\/dev\/shm is full/, "CapacityError");
  assert.equal((await worker.call("release", "held") as { released: boolean }).released, true);
  assert.ok((await take(worker, "held")).token > held.token);
  await fails(worker.call("open", "ipc:", "two", "b"), /\/dev\/shm is full/, "CapacityError");
  await worker.call("shell", "rm /dev/shm/fill");
  await take(worker, "fresh");
  await worker.call("open", "ipc:", "two", "b");
});

test("a /dev/shm that cannot be written to is told", NO_ROOT, async () => {
  await using world = new World();
  const worker = await withOwn(world, "ro");
  await fails(worker.call("open", "ipc:", "one", "a"), /\/dev\/shm is read-only/);
});

for (const what of ["lock", "session", "semaphore", "namespace"] as const) {
  test(`the ${what} is removed while a lock is held: the holder is told within a third of the ttl`, async (t) => {
    await using world = new World();
    const options = { namespace: world.namespace, ttl: TTL };
    await using holder = await getCoordinator(ipc(), { ...options, memberId: "holder" });
    const [own = ""] = fs.readdirSync(join(world.root, "s"));
    const worker = await world.worker("node", "other");
    const lease = await holder.lock("job").acquire();
    const { signal } = holder.session;
    fs.rmSync(
      {
        lock: join(world.root, "l", "job"),
        session: join(world.root, "s", own),
        semaphore: `/dev/shm/sem.tooz-coord-${own.slice(0, 12)}`,
        namespace: world.root,
      }[what],
      { recursive: true },
    );
    const start = performance.now();
    // Until then there may be two: the token tells them apart.
    if (what === "lock") assert.ok((await take(worker, "job", { wait: false })).token > lease.token);
    const reason = await lost(lease.signal);
    const took = performance.now() - start;
    t.diagnostic(`told after ${Math.round(took)} ms`);
    assert.ok(took < TTL / 3 + 1000, `${took} ms`);
    assert.ok(reason instanceof LockLostError);
    assert.equal(signal.reason instanceof SessionLostError, what !== "lock");
    assert.equal(await lease.release(), false);
    // The other one may have been told of the namespace, too, and has nothing to take it with then.
    const next = what === "namespace" ? await world.worker("node", "next") : worker;
    if (what === "lock") await worker.call("release", "job");
    const taken = await take(next, "job");
    assert.ok(taken.token > lease.token);
    await next.call("release", "job");
    assert.ok((await holder.lock("job").acquire()).token > taken.token);
  });
}
