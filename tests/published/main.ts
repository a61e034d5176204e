// What a user's first program does, in a project that knows the package only as published.
import assert from "node:assert/strict";
import { getCoordinator } from "@tooz/coord";
import { file } from "@tooz/coord/file";
import { redis } from "@tooz/coord/redis";
import { zake } from "@tooz/coord/zake";

assert.equal(typeof file, "function");
assert.equal(typeof redis, "function");

// By an import, and by a URL, which finds the driver's module by itself.
for (const backend of [zake(), "zake://published"]) {
  await using coord = await getCoordinator(backend, { memberId: "worker-1" });
  await using lease = await coord.lock("jobs").acquire();
  assert.ok(lease.token >= 1n);
  assert.equal(await lease.isHeld(), true);
}
