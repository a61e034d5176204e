/**
 * How to test your own code's fail-over in no time: the backend in memory, and a clock that only the test moves.
 *
 *     deno test -A examples/fail_over_test.ts        or: bun test, node --test
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Coordinator, getCoordinator } from "@tooz/coord";
import { VirtualClock, zake } from "@tooz/coord/zake";

/** The code under test: whoever leads has the address that clients are sent to. */
async function serve(coord: Coordinator, signal: AbortSignal): Promise<void> {
  await coord.election("primary").lead(async (leadership) => {
    await new Promise((resolve) => leadership.signal.addEventListener("abort", resolve, { once: true }));
  }, { value: `${coord.memberId}.internal:443`, signal });
}

test("clients are sent to the second node when the first is cut off [Z3]", async () => {
  const clock = new VirtualClock();
  const backend = zake(undefined, { clock });
  const first = await getCoordinator(backend, { memberId: "first" });
  const second = await getCoordinator(backend, { memberId: "second" });
  const stop = new AbortController();
  const serving = [serve(first, stop.signal).catch(() => {})];
  await clock.advance(0);
  serving.push(serve(second, stop.signal).catch(() => {}));

  const election = second.election("primary");
  assert.equal((await election.leader())?.value, "first.internal:443");

  backend.partition("first");
  await clock.advance(60_000);
  assert.equal((await election.leader())?.value, "second.internal:443");

  backend.heal("first");
  await clock.advance(60_000);
  assert.equal(first.state, "connected");
  assert.equal((await election.leader())?.value, "second.internal:443", "who comes back queues up");

  stop.abort();
  await clock.advance(0);
  await Promise.all(serving);
  await first.close();
  await second.close();
  assert.equal(clock.pending, 0, "nothing is left behind");
});

test("a job whose lock is lost stops before another node starts it", async () => {
  const clock = new VirtualClock();
  const backend = zake(undefined, { clock });
  const first = await getCoordinator(backend, { memberId: "first", ttl: 10_000, margin: 2_000 });
  const second = await getCoordinator(backend, { memberId: "second", ttl: 10_000, margin: 2_000 });
  const log: string[] = [];
  const work = async (coord: Coordinator, ms: number) => {
    await using lease = await coord.lock("nightly").acquire();
    log.push(`${coord.memberId} starts`);
    lease.signal.addEventListener("abort", () => log.push(`${coord.memberId} stops`));
    await new Promise<void>((resolve) => clock.after(ms, resolve));
  };
  const jobs = [work(first, 60_000), work(second, 1_000)];
  await clock.advance(0);
  backend.expire("first");
  await clock.advance(60_000);
  assert.deepEqual(log, ["first starts", "first stops", "second starts"]);

  await Promise.all(jobs);
  await first.close();
  await second.close();
});
