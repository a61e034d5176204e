import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CapacityError, ConnectionError, LockLostError, SessionLostError } from "../../core/errors.ts";
import { subscribe } from "../../drivers/file/subscribe.ts";
import { systemClock } from "../../internal/clock.ts";
import { getCoordinator } from "../../mod.ts";
import { runtimeProgram } from "../processes/runtimes.ts";
import { eventually, lost, openParty, World } from "./file_world.ts";

const NO_ROOT = process.getuid?.() === 0 && process.platform === "linux"
  ? {}
  : { skip: "only root may mount" };

/** Mounts a small file system in memory, until the test ends. */
function mount(world: World, options: string): { path: string; url: string } {
  const path = fs.mkdtempSync(join(world.directory, "mount-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", options, "coord-test", path]);
  world.defer(() => execFileSync("umount", ["--lazy", path]));
  return { path, url: `file://${path}` };
}

const refuses = (url: string, message: RegExp) =>
  assert.rejects(
    openParty(url, "one"),
    (error) => error instanceof ConnectionError && message.test(error.message),
  );

test("open() says why a directory cannot be used", async () => {
  await using world = new World();
  fs.writeFileSync(join(world.directory, "plain"), "");
  await refuses(`${world.url}/plain`, /is a file.*name a directory/);
  await refuses(`${world.url}/plain/below`, /is a file.*name a directory/);
  await refuses(`${world.url}/${"x".repeat(300)}`, /too long/);
});

test("open() says that the file system is read-only", NO_ROOT, async () => {
  await using world = new World();
  await refuses(mount(world, "ro").url, /read-only/);
});

test("open() makes a directory of this user where the URL names none", async () => {
  const before = process.env["TMPDIR"];
  await using world = new World();
  world.defer(() => before === undefined ? delete process.env["TMPDIR"] : process.env["TMPDIR"] = before);
  process.env["TMPDIR"] = world.directory;
  await (await openParty(undefined, "one")).close();
  const [made = ""] = fs.readdirSync(world.directory);
  const path = join(world.directory, made);
  assert.equal(made, `tooz-coord-${process.getuid?.()}`);
  assert.equal(fs.statSync(path).mode & 0o777, 0o700);
  fs.chmodSync(path, 0o777);
  await assert.rejects(openParty(undefined, "one"), /others may write/);
});

test("open() rejects with the reason of its signal", async () => {
  await using world = new World();
  const reason = new Error("stop");
  await assert.rejects(world.open("one", { signal: AbortSignal.abort(reason) }), (error) => error === reason);
});

test("a full disk is told, loses nothing, and is survived", NO_ROOT, async () => {
  await using world = new World();
  const { path, url } = mount(world, "size=256k");
  const [one, two] = [await openParty(url, "one"), await openParty(url, "two")];
  world.defer(() => Promise.all([one.close(), two.close()]));
  await one.groups.create("team");
  const grant = await one.take("held", { value: "old" });
  assert.throws(() => fs.writeFileSync(join(path, "fill"), new Uint8Array(1 << 20)), /ENOSPC/);
  const full = (error: unknown) => error instanceof CapacityError && /disk is full/.test(error.message);
  await assert.rejects(one.take("fresh"), full);
  await assert.rejects(two.take("held"), full);
  await assert.rejects(grant.update("x".repeat(100_000)), full);
  await assert.rejects(one.groups.join("team", { presence: "p", data: "1", replace: false }), full);
  assert.deepEqual((await two.entries("held")).map(({ value }) => value), ["old"]);
  assert.equal(await grant.release(), true);
  const next = await two.take("held");
  assert.ok(next.token > grant.token);
  await next.release();
  fs.unlinkSync(join(path, "fill"));
  await (await one.take("fresh")).release();
  await one.groups.join("team", { presence: "p", data: "1", replace: false });
});

test("a directory removed while held ends its sessions at once, and can be used again", async () => {
  await using world = new World();
  const [one, two] = [await world.open("one"), await world.open("two")];
  const grant = await one.take("job");
  const waiting = assert.rejects(two.take("job"), SessionLostError);
  await world.queued("job", 1);
  fs.rmSync(join(world.directory, "test"), { recursive: true });
  assert.ok(await lost(one.lost) instanceof SessionLostError);
  await waiting;
  assert.deepEqual([await grant.release(), await grant.check()], [false, false]);
  await assert.rejects(one.beat(), SessionLostError);
  await assert.rejects(one.take("job"), SessionLostError);
  const next = await (await world.open("three")).take("job");
  assert.ok(next.token > grant.token);
});

test("a lock's directory removed while held is found by the beat, and that lock alone is lost", async () => {
  await using world = new World();
  const one = await world.open("one");
  const [grant, other] = [await one.take("job"), await one.take("other")];
  fs.rmSync(join(world.directory, "test", "l", "job"), { recursive: true });
  await one.beat();
  assert.ok(grant.lost.reason instanceof LockLostError);
  assert.deepEqual([other.lost.aborted, one.lost.aborted], [false, false]);
  assert.ok((await one.take("job")).token > grant.token);
});

test("foreign files among the tickets, the holders and the sessions are in nobody's way", async () => {
  await using world = new World();
  const [one, two] = [await world.open("one"), await world.open("two")];
  const held = await one.take("job", { mode: "shared" });
  const folder = join(world.directory, "test", "l", "job");
  fs.mkdirSync(join(folder, "q"), { recursive: true });
  for (const path of ["q/notes", "h/notes", "../../s/notes"]) fs.writeFileSync(join(folder, path), "mine");
  fs.writeFileSync(join(folder, `q/000000000000001-x-${"0".repeat(24)}-0`), "");
  const next = two.take("job");
  await eventually(async () => (await one.entries("job")).length === 2, "both are listed");
  await held.release();
  assert.equal(await (await next).check(), true);
  await world.open("three");
  for (const path of ["q/notes", "h/notes", "../../s/notes"]) {
    assert.ok(fs.existsSync(join(folder, path)), path);
  }
});

test("subscribe() looks by itself where the system gives no watch", async () => {
  let calls = 0;
  const end = subscribe("/nonexistent/path", systemClock, () => calls++);
  await eventually(() => calls >= 3, "it looks again and again");
  end();
});

test("a session that a killed one left behind is swept away", async () => {
  await using world = new World();
  const worker = await world.worker("bun");
  await worker.call("take", "job", { mode: "shared" });
  worker.kill();
  await worker.exited;
  assert.equal(world.leftovers().length, 2);
  const one = await world.open("one");
  await (await one.take("job")).release();
  await one.close();
  assert.deepEqual(world.leftovers(), []);
});

test("a membership that cannot be looked at takes no lock away", async () => {
  await using world = new World();
  await using coord = await getCoordinator(world.url, { ttl: 600 });
  const lease = await coord.lock("l").acquire();
  const membership = await coord.group("g").join({}, { create: true });
  const { signal: session } = coord.session;
  const [name = ""] = fs.readdirSync(join(world.directory, "tooz", "g"));
  const place = join(world.directory, "tooz", "g", name);
  fs.renameSync(place, `${place}-away`);
  fs.symlinkSync(place, place);
  await eventually(() => coord.state === "suspended", "it cannot be looked at");
  await sleep(3 * 600);
  assert.deepEqual([lease.signal.aborted, session.aborted], [false, false]);
  assert.equal(lease.remaining(), Infinity);
  assert.equal(await lease.isHeld(), true);
  fs.unlinkSync(place);
  fs.renameSync(`${place}-away`, place);
  await eventually(() => coord.state === "connected", "it can");
  assert.equal(membership.signal.aborted, false);
  assert.equal(await membership.leave(), true);
});

test("Node's permission model is named where it is in the way, not a package that is there", () => {
  const text = `
    import { file } from "${new URL("../../drivers/file.ts", import.meta.url)}";
    import { getCoordinator } from "${new URL("../../mod.ts", import.meta.url)}";
    await getCoordinator(file("${fs.mkdtempSync(join(tmpdir(), "coord-file-"))}"))
      .then((coord) => coord.close(), (error) => console.log(error.message));
  `;
  const run = (...flags: string[]) =>
    spawnSync(runtimeProgram("node"), ["--permission", ...flags, "--input-type=module", "-e", text], {
      encoding: "utf8",
    }).stdout;
  assert.match(run("--allow-fs-read=*", "--allow-fs-write=*"), /^Cannot lock files: .*--allow-addons\n$/);
  assert.match(run("--allow-fs-read=*", "--allow-addons"), /^Cannot use directory .*--allow-fs-write/);
  assert.equal(run("--allow-fs-read=*", "--allow-fs-write=*", "--allow-addons"), "");
});
