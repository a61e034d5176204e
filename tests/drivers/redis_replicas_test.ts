import assert from "node:assert/strict";
import { test } from "node:test";
import { ConnectionError } from "../../core/errors.ts";
import { redis } from "../../drivers/redis.ts";
import { findBinary } from "../servers/binaries.ts";
import { insist, LONG, take, Watched } from "./redis_sentinel_world.ts";
import { attempt, beating, until } from "./redis_world.ts";

const OPTIONS = { skip: !findBinary("redis-server"), timeout: 120_000 };
const LOCK = { kind: "lock", name: "l" } as const;

/** Calls until it is confirmed: a replica that is back needs a while to catch up. */
async function confirmed<T>(call: () => Promise<T>): Promise<T> {
  return await insist(call);
}

test("numbers of replicas that cannot be are refused", () => {
  for (const url of ["redis://a?replicas=-1", "redis://a?replicas=x", "redis://a?replicaTimeout=-1"]) {
    assert.throws(() => redis(url), RangeError);
  }
  assert.throws(() => redis("redis://a", { replicas: 1.5 }), RangeError);
});

test("a grant that a replica lacks is not handed out, and is free", OPTIONS, async () => {
  await using watched = await Watched.start();
  const url = `${watched.cluster.url}&replicas=2`;
  // Those that have only begun to follow may be slow to confirm.
  const [a, b] = [await insist(() => watched.open("a", url)), await insist(() => watched.open("b", url))];
  const held = await confirmed(() => take(a));
  const waiting = take(b).then(() => undefined, (error: unknown) => error);
  await until(async () => (await b.locks.entries(LOCK)).length === 2, "b waits");
  const replica = watched.cluster.servers.at(-1);
  replica?.pause();
  // A release promises nothing that could be forgotten.
  assert.equal(await held.release(), true);
  const refused = await waiting;
  assert.ok(refused instanceof ConnectionError);
  assert.match(refused.message, /1 of 2 replicas have confirmed it within 500 ms/);
  for (const mode of ["exclusive", "shared"] as const) {
    await assert.rejects(a.locks.acquire(attempt("other", { mode, wait: false })), /of 2 replicas/);
  }
  await assert.rejects(a.beat(), /of 2 replicas/);
  await until(async () => (await a.locks.entries(LOCK)).length === 0, "nobody holds it");
  await assert.rejects(watched.open("c", url), /of 2 replicas/);
  replica?.resume();
  assert.equal(await (await confirmed(() => take(b))).release(), true);
  await confirmed(() => a.beat());
});

test("a grant that was handed out outlives the master at once", OPTIONS, async () => {
  await using watched = await Watched.start();
  const url = `${watched.cluster.url}&replicas=2&replicaTimeout=1000`;
  const a = await insist(() => watched.open("a", url));
  const plain = await watched.open("b");
  using _ = beating([a, plain]);
  const held = await confirmed(() => take(a));
  const master = await watched.cluster.leader();
  await master.kill();
  await watched.promoted(master);
  assert.equal(await insist(() => plain.locks.acquire(attempt("l", { wait: false }))), undefined);
  assert.equal(await insist(() => held.check()), true);
  // Two replicas there are no more.
  await until(
    async () => {
      const failed = await a.locks.acquire(attempt("other", { wait: false })).catch((error: unknown) =>
        error
      );
      return failed instanceof ConnectionError && /of 2 replicas/.test(failed.message);
    },
    "grants are refused",
    LONG,
  );
});
