// Nothing of zake is left behind, as the sanitizers of Deno see it; the tests of `node:test` run without them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { zake } from "../../drivers/zake.ts";
import { getCoordinator } from "../../mod.ts";

const NAME = "zake leaves no timer, no operation and no resource behind";

async function useAll(): Promise<void> {
  const backend = zake();
  await using one = await getCoordinator(backend, { memberId: "one" });
  await using two = await getCoordinator(backend, { memberId: "two" });
  const lease = await one.lock("l").acquire();
  await assert.rejects(two.lock("l").acquire({ timeout: 10 }));
  const next = two.lock("l").acquire({ signal: AbortSignal.timeout(60_000) });
  assert.equal(await lease.release(), true);
  assert.equal(await (await next).release(), true);
  await one.group("g").join({}, { create: true });
  await using watch = await two.group("g").watch();
  const events = watch[Symbol.asyncIterator]();
  await one.group("g").leave();
  assert.equal((await events.next()).value?.type, "left");
  await one.election("e").campaign();
  backend.partition("one");
  await assert.rejects(one.lock("l").acquire({ timeout: 10 }));
  backend.expire("two");
}

if ("Deno" in globalThis) {
  Deno.test({ name: NAME, sanitizeOps: true, sanitizeResources: true, sanitizeExit: true, fn: useAll });
} else {
  test(NAME, useAll);
}
