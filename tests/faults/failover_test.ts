// What is left of locks when a server that others follow is replaced by one of those, on the backend that COORD_BACKEND names.
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { eventually } from "../conformance/waiting.ts";
import { Crew, overlaps } from "./crew.ts";
import { FOLLOWED } from "./followed.ts";

const backend = process.env.COORD_BACKEND ?? "redis_sentinel";
const product = FOLLOWED[backend];
if (!product) throw new Error(`Cannot test fail-over of ${backend}: want one of ${Object.keys(FOLLOWED)}`);

const OPTIONS = { timeout: 240_000 };
/** In ms: longer than a fail-over takes on a busy machine. */
const TTL = 9_000;
const FAILOVERS = 2;

test(`${backend}: 8 processes contend on while one master after the other is killed`, OPTIONS, async () => {
  await using cluster = await product.cluster();
  await using crew = new Crew(TTL);
  while (crew.members.length < 8) await crew.hire(cluster.url);
  let promoted = 0;
  const turns = await crew.contend("lock", async () => {
    for (let i = 0; i < FAILOVERS; i++) {
      await sleep(3_000);
      const master = await cluster.leader();
      await master.kill();
      await cluster.leader();
      promoted = Date.now();
      await master.start();
      await eventually(async () => (await cluster.followers()).includes(master), 60_000);
    }
  });
  const doubled = overlaps(turns);
  const after = turns.filter(({ from }) => from > promoted);
  console.log(`${backend}: ${turns.length} turns, ${after.length} after the last of ${FAILOVERS} fail-overs`);
  console.log(`${backend}: ${doubled.length} turns overlapped, by ${doubled} ms`);
  assert.ok(doubled.length <= FAILOVERS * product.forgets && doubled.every((ms) => ms <= TTL));
  assert.ok(after.length >= 50, `only ${after.length} turns after the last fail-over`);
  assert.equal(new Set(after.map(({ member }) => member)).size, 8, "every process goes on");
});

test(`${backend}: a lease is kept, or its loss is told, over a fail-over`, OPTIONS, async () => {
  await using cluster = await product.cluster();
  await using crew = new Crew(TTL);
  const holders = [await crew.hire(cluster.url), await crew.hire(cluster.url), await crew.hire(cluster.url)];
  const leases = await Promise.all(holders.map((holder, i) => holder.acquire(`lock-${i}`)));
  const waiter = await crew.hire(cluster.url);
  await (await cluster.leader()).kill();
  await cluster.leader();
  for (const lease of leases) {
    const kept = await eventually(() => lease.isHeld().then((held) => ({ held })), 60_000);
    if (kept.held) assert.equal(await lease.release(), true);
    else assert.equal(await lease.isLost(), true);
  }
  for (const [i, lease] of leases.entries()) {
    const next = await eventually(() => waiter.acquire(`lock-${i}`), 60_000);
    assert.ok(next.token > lease.token);
  }
});
