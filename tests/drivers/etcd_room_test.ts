// What the driver makes of a server that has used up its quota.
import assert from "node:assert/strict";
import { test } from "node:test";
import { CapacityError, getCoordinator, type Lease, type Membership } from "../../mod.ts";
import { eventually, failure, within } from "../conformance/waiting.ts";
import { findBinary } from "../servers/binaries.ts";
import { startEtcd } from "../servers/etcd.ts";
import { ask, httpSend } from "../servers/probe.ts";

const QUOTA = 1_000_000;

async function noRoom(promise: Promise<unknown>): Promise<void> {
  const error = await within(failure(promise), "it is refused");
  assert.ok(error instanceof CapacityError, String(error));
  assert.match(error.message, /space exceeded; raise --quota-backend-bytes or compact and defragment, then/);
}

/** Writes until the server has no space for more. */
async function fill(membership: Membership<unknown>): Promise<void> {
  for (let i = 0;; i++) await membership.update(`${i % 10}`.repeat(QUOTA / 10));
}

/** Does what the error says. */
async function makeRoom(port: number, api: string): Promise<void> {
  const say = (step: string, body: object, expect = /^HTTP\/1\.1 200[\s\S]*\}/) =>
    ask(port, httpSend(`POST /${api}/${step}`, { body: JSON.stringify(body), expect }), 10_000);
  const answer = await say("kv/range", { key: btoa("x") });
  const field = (name: string) => new RegExp(`"${name}":\\s*"(\\d+)"`).exec(answer)?.[1];
  await say("kv/compaction", { revision: field("revision"), physical: true });
  await say("maintenance/defragment", {});
  const alarm = { action: "DEACTIVATE", memberID: field("member_id"), alarm: "NOSPACE" };
  await say("maintenance/alarm", alarm);
}

for (const suite of ["bullseye", "bookworm", "sid"] as const) {
  const OPTIONS = { skip: !findBinary("etcd", suite), timeout: 60_000 };
  // Without space it refuses what only reads, or removes, as well.
  const isOld = suite === "bullseye";

  test(`etcd of ${suite}: a server without space is told to who stores`, OPTIONS, async () => {
    await using server = await startEtcd({ suite, args: [`--quota-backend-bytes=${QUOTA}`] });
    const options = { ttl: 60_000, heartbeat: "manual" } as const;
    await using one = await getCoordinator(server.url, { ...options, memberId: "one" });
    await using two = await getCoordinator(server.url, { ...options, memberId: "two" });
    const three = await getCoordinator(server.url, { ...options, memberId: "three" });
    const [lease, other] = [await one.lock("l").acquire(), await three.lock("other").acquire()];
    const waiting = [two.lock("l").acquire(), two.lock("other").acquire()] as const;
    for (const wait of waiting) wait.catch(() => {}); // Of what ends it too soon is told below.
    const quit = new AbortController();
    const kept = await one.lock("kept").acquire();
    const quitting = two.lock("kept").acquire({ signal: quit.signal });
    const membership = await one.group("g").join({}, { create: true });
    await using watch = await two.group("g").watch();
    const events = watch[Symbol.asyncIterator]();
    await eventually(async () => (await one.lock("l").holders()).length === 1);
    await noRoom(fill(membership));
    await noRoom(two.lock("fresh").acquire());
    await noRoom(two.group("g").join({}));
    await noRoom(getCoordinator(server.url, options));
    quit.abort(new Error("enough"));
    await assert.rejects(within(quitting, "the wait is over"), /enough/);
    await one.heartbeat();
    assert.deepEqual([lease.signal.aborted, membership.signal.aborted], [false, false]);
    // Neither the end of a session nor what is given back needs space.
    await three.close();
    const heir = (lease: Lease) => lease.token > other.token;
    if (!isOld) assert.ok(heir(await within(waiting[1], "the next one has it")));
    if (isOld) await noRoom(lease.release());
    else assert.deepEqual([await lease.isHeld(), await lease.release()], [true, true]);
    if (isOld) await makeRoom(server.port, "v3beta");
    assert.ok((await within(waiting[0], "the next one has it")).token > lease.token);
    assert.ok(heir(await within(waiting[1], "it has it, or has waited for the space to look")));
    assert.equal(await membership.leave(), true);
    await eventually(async () => (await events.next()).value?.type === "left");
    if (!isOld) await makeRoom(server.port, "v3");
    assert.ok(await two.lock("fresh").tryAcquire());
    assert.equal(await kept.release(), true);
    await two.heartbeat();
    assert.ok(await eventually(() => one.lock("kept").tryAcquire()), "nobody stands in line any more");
  });
}
