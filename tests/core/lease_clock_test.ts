import assert from "node:assert/strict";
import { test } from "node:test";
import { LeaseClock, stamp } from "../../core/lease_clock.ts";
import { VirtualClock, zake, type ZakeBackend } from "../../drivers/zake.ts";
import { type Coordinator, type CoordinatorOptions, getCoordinator, LockLostError } from "../../mod.ts";
import type { Opener } from "../../driver.ts";
import { withSessions } from "../conformance/wrapping.ts";

const TTL = 10_000;
const MARGIN = 2_000;

/** A coordinator in virtual time, whose session's beats take as long as the test wants. */
async function start(options: CoordinatorOptions = {}) {
  const clock = new VirtualClock(1_000_000);
  const backend = zake(undefined, { clock });
  const beats = { hang: Promise.resolve(), sent: [] as number[] };
  // Our factories return openers; `Backend` hides that from users only.
  const abandoned: number[] = [];
  const opener = withSessions(backend as ZakeBackend<VirtualClock> & Opener, (session) => ({
    abandon: (until) => {
      abandoned.push(until);
      session.abandon(until);
    },
    beat: async () => {
      beats.sent.push(clock.now());
      await session.beat();
      await beats.hang;
    },
  }));
  const coord = await getCoordinator(opener, { memberId: "a", ttl: TTL, margin: MARGIN, ...options });
  return { clock, backend, beats, abandoned, coord };
}

async function closed(clock: VirtualClock, ...coords: Coordinator[]): Promise<void> {
  for (const coord of coords) await coord.close();
  await clock.advance(0);
  assert.equal(clock.pending, 0);
}

test("LeaseClock counts from when the renewal was sent, by the clock that went on further [LE10, LE11]", () => {
  const clock = new VirtualClock(5_000);
  const lease = new LeaseClock(clock, 1_000, stamp(clock));
  clock.stall(400);
  assert.equal(lease.left(), 600);
  const sent = stamp(clock);
  clock.stall(300);
  lease.renew(sent);
  assert.equal(lease.left(), 700);
  clock.suspend(600);
  assert.equal(lease.left(), 100);
  clock.suspend(-3_000);
  assert.equal(lease.left(), 700, "a wall clock that is set back extends nothing");
  lease.renew({ now: 0, wall: 0 });
  assert.equal(lease.left(), 700, "an answer that comes out of order extends nothing");
});

test("LeaseClock does not take the rounding of the wall clock for time [LE10]", () => {
  const clock = new VirtualClock(5_000);
  const lease = new LeaseClock(clock, 1_000, stamp(clock));
  clock.suspend(1);
  assert.equal(lease.left(), 1_000);
  clock.suspend(1);
  assert.equal(lease.left(), 998);
});

test("what is given up after a stall stays held for the margin, counted from then [LE17]", async () => {
  const { clock, abandoned, coord } = await start();
  const lease = await coord.lock("x").acquire();
  clock.stall(TTL * 4);
  assert.equal(lease.signal.aborted, true);
  assert.deepEqual(abandoned, [clock.now() + MARGIN]);
  await closed(clock, coord);
});

test("signal fires margin before the ttl is over, without any answer [LE10, C11]", async () => {
  const { clock, backend, beats, coord } = await start();
  const lease = await coord.lock("x").acquire();
  await clock.advance(TTL * 3);
  assert.equal(lease.signal.aborted, false);
  const last = beats.sent.at(-1) ?? NaN;
  backend.partition("a");
  await clock.advance(last + TTL - MARGIN - 1 - clock.now());
  assert.equal(lease.signal.aborted, false);
  await clock.advance(1);
  assert.equal(lease.signal.aborted, true);
  assert.ok(lease.signal.reason instanceof LockLostError);
  assert.throws(() => lease.remaining(), LockLostError);
  await closed(clock, coord);
});

test("signal has fired before another can be granted the lock [LE10, X14]", async () => {
  const { clock, backend, coord } = await start();
  const other = await getCoordinator(backend, { memberId: "b", ttl: TTL });
  const lease = await coord.lock("x").acquire();
  let granted: number | undefined;
  void other.lock("x").acquire().then(() => granted = clock.now(), () => {});
  let lost: number | undefined;
  lease.signal.addEventListener("abort", () => lost = clock.now());
  backend.partition("a");
  await clock.advance(TTL * 2);
  assert.ok(
    granted !== undefined && lost !== undefined && granted - lost >= MARGIN,
    `${lost} then ${granted}`,
  );
  await closed(clock, coord, other);
});

test("margin is a fifth of the ttl by default [C11]", async () => {
  const clock = new VirtualClock();
  const backend = zake(undefined, { clock });
  const coord = await getCoordinator(backend, { memberId: "a", ttl: TTL });
  const lease = await coord.lock("x").acquire();
  assert.equal(lease.remaining(), TTL - TTL / 5);
  await closed(clock, coord);
});

test("remaining() counts from the sending of a renewal, not from its answer [LE3, LE10]", async () => {
  const { clock, beats, coord } = await start();
  const lease = await coord.lock("x").acquire();
  const answer = Promise.withResolvers<void>();
  beats.hang = answer.promise;
  const { length } = beats.sent;
  while (beats.sent.length === length) await clock.advance(100);
  const sent = beats.sent.at(-1) ?? NaN;
  await clock.advance(3_000);
  answer.resolve();
  await clock.advance(0);
  assert.equal(lease.remaining(), TTL - MARGIN - (clock.now() - sent));
  await closed(clock, coord);
});

test("the first read after a stall tells: signal [LE12]", async () => {
  const { clock, coord } = await start();
  const lease = await coord.lock("x").acquire();
  clock.stall(TTL * 4);
  assert.equal(lease.signal.aborted, true);
  await closed(clock, coord);
});

test("the first read after a stall tells: remaining() [LE12, LE9]", async () => {
  const { clock, coord } = await start();
  const lease = await coord.lock("x").acquire();
  clock.stall(TTL * 4);
  assert.throws(() => lease.remaining(), LockLostError);
  await closed(clock, coord);
});

test("the first read after a stall tells: the signal that was read before [LE12]", async () => {
  const { clock, coord } = await start();
  const lease = await coord.lock("x").acquire();
  const { signal } = lease;
  clock.stall(TTL * 4);
  await clock.advance(0);
  assert.equal(signal.aborted, true);
  await closed(clock, coord);
});

test("a suspended machine ends a hold: only the wall clock went on [LE11]", async () => {
  const { clock, coord } = await start();
  const lease = await coord.lock("x").acquire();
  clock.suspend(TTL - MARGIN - 1);
  assert.equal(lease.signal.aborted, false);
  clock.suspend(1);
  assert.equal(lease.signal.aborted, true);
  await closed(clock, coord);
});

test("a wall clock that is set back never extends a hold [LE11]", async () => {
  const { clock, backend, coord } = await start();
  const lease = await coord.lock("x").acquire();
  clock.suspend(-86_400_000);
  backend.partition("a");
  await clock.advance(TTL - MARGIN);
  assert.equal(lease.signal.aborted, true);
  await closed(clock, coord);
});

test("an answer that comes after the deadline revives nothing [LE10, S7]", async () => {
  const { clock, beats, coord } = await start();
  const lease = await coord.lock("x").acquire();
  const { signal } = coord.session;
  const answer = Promise.withResolvers<void>();
  beats.hang = answer.promise;
  const { length } = beats.sent;
  while (beats.sent.length === length) await clock.advance(100);
  clock.stall(TTL);
  answer.resolve();
  await clock.advance(100);
  assert.equal(lease.signal.aborted, true);
  assert.equal(signal.aborted, true);
  assert.equal(coord.state, "connected");
  assert.equal(coord.session.signal.aborted, false);
  await closed(clock, coord);
});

test("heartbeat() says when the next one is due, and keeps a manual session [S4, C12]", async () => {
  const { clock, coord } = await start({ heartbeat: "manual" });
  const lease = await coord.lock("x").acquire();
  for (let i = 0; i < 10; i++) {
    const due = await coord.heartbeat();
    assert.ok(due > 0 && due <= TTL / 3, `${due}`);
    await clock.advance(due);
  }
  assert.equal(lease.signal.aborted, false);
  await clock.advance(TTL);
  assert.equal(lease.signal.aborted, true);
  await closed(clock, coord);
});
