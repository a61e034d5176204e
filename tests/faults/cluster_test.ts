// What a cluster survives, on the backend that COORD_BACKEND names.
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { eventually, within } from "../conformance/waiting.ts";
import { checkTurns, Crew } from "./crew.ts";
import { Observer } from "./observer.ts";
import { PRODUCTS } from "./products.ts";

const backend = process.env.COORD_BACKEND ?? "etcd";
const product = PRODUCTS[backend];
if (!product) throw new Error(`Cannot test clusters of ${backend}: want one of ${Object.keys(PRODUCTS)}`);

const OPTIONS = { timeout: 180_000 };
/** What a session is granted, in ms: longer than a cluster needs to elect a leader on a busy machine. */
const TTL = 6_000;
const asked = TTL / product.grants;

test(`${backend}: 8 processes contend on while one leader after the other is killed`, OPTIONS, async () => {
  await using cluster = await product.cluster();
  await using crew = new Crew(asked);
  while (crew.members.length < 8) await crew.hire(cluster.url);
  let killed = 0;
  const turns = await crew.contend("lock", async () => {
    for (let i = 0; i < 2; i++) {
      await sleep(3_000);
      const leader = await cluster.leader();
      killed = Date.now();
      await leader.kill();
      await cluster.leader();
      await leader.start();
    }
  });
  checkTurns(turns);
  const after = turns.filter(({ from }) => from > killed);
  const hands = new Set(after.map(({ member }) => member));
  assert.ok(after.length >= 20, `only ${after.length} turns after the last kill`);
  assert.equal(hands.size, 8, "every process goes on");
});

test(`${backend}: a follower that is killed costs no hold`, OPTIONS, async () => {
  await using cluster = await product.cluster();
  await using crew = new Crew(asked);
  const [follower] = await cluster.followers();
  assert.ok(follower);
  const others = cluster.nodes.filter((node) => node !== follower);
  const url = [cluster.urlAt(follower.port), ...others.map(({ port }) => `127.0.0.1:${port}`)].join(",");
  const holder = await crew.hire(url);
  const lease = await holder.acquire("lock");
  await follower.kill();
  await sleep(TTL);
  assert.equal(await lease.isLost(), false);
  assert.equal(await lease.isHeld(), true);
  assert.equal(await lease.release(), true);
});

test(
  `${backend}: one cut off with the minority has its signal before the majority grants`,
  OPTIONS,
  async () => {
    await using cluster = await product.cluster({ isolatable: true });
    await using crew = new Crew(asked);
    // The leader is cut off: it does not know at once that it leads no longer.
    const lonely = await cluster.leader();
    const [other] = await cluster.followers();
    const url = cluster.urlAt(other?.port ?? 0);
    const holder = await crew.hire(cluster.urlAt(lonely.port));
    const waiter = await crew.hire(url);
    const held = await holder.acquire("lock");
    const next = waiter.acquire("lock");
    await using observer = await Observer.open(product.factory, url, crew.namespace);
    await eventually(async () => await observer.waiting("lock") === 1);
    // The answers to the waiter come in order: now it too knows that it waits.
    await waiter.holders("lock");
    const cut = Date.now();
    cluster.isolate(lonely);
    const [loss, lease] = await within(Promise.all([held.lost(), next]), "the lock changes hands", 60_000);
    console.log(
      `${backend}: cut off at 0, signal after ${loss.at - cut} ms, granted after ${lease.at - cut} ms`,
    );
    assert.ok(loss.at < lease.at, `the signal came ${loss.at - lease.at} ms after the grant`);
    assert.ok(lease.token > held.token);
    await cluster.heal();
  },
);

test(`${backend}: locks and tokens go on after all servers were killed and restarted`, OPTIONS, async () => {
  await using cluster = await product.cluster();
  await using crew = new Crew(asked);
  const [one, two] = [await crew.hire(cluster.url), await crew.hire(cluster.url)];
  const before = await one.acquire("lock");
  assert.equal(await before.release(), true);
  await cluster.restart();
  const after = await eventually(() => two.acquire("lock"), 60_000);
  assert.ok(after && after.token > before.token);
});
