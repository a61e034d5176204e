// What a user's first program does, in a project that knows the package only as published.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { type Backend, getCoordinator } from "@tooz/coord";
import { file } from "@tooz/coord/file";
import { redis } from "@tooz/coord/redis";
import { zake } from "@tooz/coord/zake";

/** A lock, a group and an election, between two members. */
async function coordinate(backend: Backend | string): Promise<void> {
  await using one = await getCoordinator(backend, { memberId: "one" });
  await using two = await getCoordinator(backend, { memberId: "two" });
  const lease = await one.lock("jobs").acquire();
  const waiting = two.lock("jobs").acquire();
  assert.equal(await lease.release(), true);
  await using next = await waiting;
  assert.ok(next.token > lease.token);
  await using _membership = await one.group("workers").join({ cores: 2 }, { create: true });
  assert.deepEqual([...(await two.group("workers").members()).keys()], ["one"]);
  await using leadership = await one.election("primary").campaign({ value: "here" });
  assert.equal((await two.election("primary").leader())?.token, leadership.token);
}

const [server = ""] = process.argv.slice(2);
const directory = mkdtempSync(join(tmpdir(), "coord-published-"));
try {
  // By an import, and by a URL, which finds the driver's module by itself.
  for (const backend of [zake(), redis(server), file(`file://${directory}`)]) await coordinate(backend);
  for (const url of ["zake://published", server, `file://${directory}`]) await coordinate(url);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
