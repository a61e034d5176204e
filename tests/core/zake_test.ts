import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock, zake, type ZakeBackend } from "../../drivers/zake.ts";
import type { Opener } from "../../driver.ts";
import {
  ClosedError,
  ConnectionError,
  type Coordinator,
  getCoordinator,
  LockLostError,
  SessionLostError,
} from "../../mod.ts";

const TTL = 9_000;

interface World {
  readonly clock: VirtualClock;
  readonly backend: ZakeBackend;
  readonly a: Coordinator;
  readonly b: Coordinator;
}

/** Two coordinators in virtual time; afterwards nothing is left behind. */
async function inWorld(play: (world: World) => Promise<void>, seed?: number): Promise<void> {
  const clock = new VirtualClock();
  const backend = zake(undefined, seed === undefined ? { clock } : { clock, seed });
  const [a, b] = await Promise.all([
    getCoordinator(backend, { memberId: "a", ttl: TTL }),
    getCoordinator(backend, { memberId: "b", ttl: TTL }),
  ]);
  await play({ clock, backend, a, b });
  const closing = Promise.all([a.close(), b.close()]);
  await clock.advance(TTL);
  await closing;
  assert.equal(clock.pending, 0);
}

/** Lets time pass until the promise has settled. */
async function passing<T>(clock: VirtualClock, promise: Promise<T>): Promise<T> {
  let settled = false;
  const settle = () => void (settled = true);
  promise.then(settle, settle);
  for (let i = 0; i < 1_000 && !settled; i++) await clock.advance(10);
  return await promise;
}

test("expire() ends a member's session and gives what it held to the next [Z1, S6, S7]", async () => {
  await inWorld(async ({ clock, backend, a, b }) => {
    const lease = await a.lock("x").acquire();
    const { signal } = a.session;
    const next = b.lock("x").acquire();
    backend.expire("a");
    assert.ok(lease.signal.aborted && signal.aborted);
    assert.ok(signal.reason instanceof SessionLostError);
    assert.ok((await next).token > lease.token);
    await clock.advance(0);
    assert.equal(a.state, "connected");
    assert.notEqual(a.session.signal, signal);
  });
});

test("expire() rejects a waiting acquire with SessionLostError [Z1, S8]", async () => {
  await inWorld(async ({ backend, a, b }) => {
    await a.lock("x").acquire();
    const waiting = assert.rejects(b.lock("x").acquire(), SessionLostError);
    backend.expire("b");
    await waiting;
  });
});

test("a wait ends with its session, also where that was lost while the claim was on its way [S8]", async () => {
  const clock = new VirtualClock();
  const backend = zake(undefined, { clock }) as ZakeBackend<VirtualClock> & Opener; // To those who know.
  const holder = await getCoordinator(backend, { memberId: "a" });
  await holder.lock("x").acquire();
  const session = await backend.open({
    memberId: "b",
    incarnation: "b",
    namespace: "tooz",
    ttl: 30_000,
    timeout: 10_000,
    longest: 10_000,
    signal: new AbortController().signal,
    note: () => {},
  });
  const { signal } = new AbortController();
  const waiting = session.locks.acquire({
    kind: "lock",
    name: "x",
    id: "attempt",
    mode: "exclusive",
    wait: true,
    value: "",
    signal,
  });
  backend.expire("b");
  await assert.rejects(waiting, SessionLostError);
  await Promise.all([session.close(), holder.close()]);
});

test("expire() of a member that is not there is a RangeError [R3]", async () => {
  await inWorld(({ backend }) => {
    assert.throws(() => backend.expire("nobody"), RangeError);
    return Promise.resolve();
  });
});

test("partition() holds calls back, and heal() lets them through [Z2, S10, S2]", async () => {
  await inWorld(async ({ clock, backend, a, b }) => {
    const lease = await a.lock("x").acquire();
    backend.partition("a");
    assert.equal(a.state, "suspended");
    let released: boolean | undefined;
    const releasing = lease.release().then((done) => released = done);
    const next = b.lock("x").acquire();
    await clock.advance(TTL / 3 - 1);
    assert.equal(released, undefined);
    backend.heal("a");
    await releasing;
    assert.equal(released, true);
    await next;
    assert.equal(a.state, "connected");
  });
});

test("heal() without a member ends all partitions [Z2]", async () => {
  await inWorld(async ({ backend, a, b }) => {
    for (const member of ["a", "b", "to come"]) backend.partition(member);
    const calls = Promise.all([a.groups(), b.groups()]);
    backend.heal();
    assert.deepEqual(await calls, [[], []]);
    assert.deepEqual([a.state, b.state], ["connected", "connected"]);
    await using late = await getCoordinator(backend, { memberId: "to come" });
    assert.equal(late.state, "connected");
  });
});

test("partition() that lasts ends the session, and heal() brings a new one [Z2, S6]", async () => {
  await inWorld(async ({ clock, backend, a, b }) => {
    const lease = await a.lock("x").acquire();
    const next = b.lock("x").acquire();
    backend.partition("a");
    const refused = assert.rejects(a.groups(), ConnectionError);
    await clock.advance(TTL);
    await refused;
    assert.equal(a.state, "lost");
    assert.equal(lease.signal.aborted, true);
    assert.ok((await next).token > lease.token);
    const late = assert.rejects(a.groups(), ConnectionError);
    await clock.advance(TTL / 3);
    await late;
    backend.heal("a");
    await clock.advance(TTL);
    assert.equal(a.state, "connected");
    assert.deepEqual(await a.groups(), []);
  });
});

test("a partitioned holder's session lives in the world until its ttl is over [Z2]", async () => {
  await inWorld(async ({ clock, backend, a, b }) => {
    const lease = await a.lock("x").acquire();
    backend.partition("a");
    await clock.advance(TTL - 1);
    assert.equal(lease.signal.aborted, true);
    assert.equal(await b.lock("x").tryAcquire(), undefined);
    await clock.advance(1);
    assert.notEqual(await b.lock("x").tryAcquire(), undefined);
  });
});

/** Who was granted a lock in which order, when several ask at once. */
async function order(seed: number): Promise<string> {
  let found = "";
  await inWorld(async ({ clock, a, b }) => {
    const turns = Array.from({ length: 24 }, async (_, i) => {
      const coord = i % 2 === 0 ? a : b;
      const lease = await coord.lock(`lock-${i % 3}`).acquire();
      found += `${coord.memberId}${i} `;
      await lease.release();
    });
    await passing(clock, Promise.all(turns));
  }, seed);
  return found;
}

test("the same seed gives the same order, another one another [Z4]", async () => {
  const [first, again, other] = [await order(7), await order(7), await order(8)];
  assert.equal(again, first);
  assert.notEqual(other, first);
  assert.equal(first.split(" ").length, 25);
});

test("a session lost while an attempt is taken back leaves no rejection unheard [R4]", async () => {
  // Somewhere among these the claim has arrived, and its removal has not.
  for (let ms = 0; ms < 10; ms++) {
    await inWorld(async ({ clock, backend, a, b }) => {
      await passing(clock, a.lock("x").acquire());
      const giveUp = new AbortController();
      const acquiring = b.lock("x").acquire({ signal: giveUp.signal });
      await clock.advance(0); // The claim is on its way.
      giveUp.abort("enough");
      const settled = assert.rejects(acquiring, (error) => error === "enough");
      await clock.advance(ms);
      backend.expire("b");
      await passing(clock, settled);
    }, 7);
  }
});

test("what is given back while the coordinator closes is false when it comes too late [LE5, G13]", async () => {
  await inWorld(async ({ clock, a }) => {
    const lease = await passing(clock, a.lock("x").acquire());
    const leadership = await passing(clock, a.election("x").campaign());
    const membership = await passing(clock, a.group("x").join({}, { create: true }));
    const proclaiming = assert.rejects(leadership.proclaim("late"), LockLostError);
    const ends = Promise.all([lease.release(), membership.leave()]);
    const closing = a.close();
    assert.deepEqual(await passing(clock, ends), [false, false]);
    await passing(clock, Promise.all([proclaiming, closing]));
  }, 7);
});

test("a call whose time runs out says that the coordinator was closed meanwhile [S11]", async () => {
  await inWorld(async ({ clock, a, b }) => {
    await passing(clock, a.lock("x").acquire());
    const acquiring = b.lock("x").acquire({ timeout: 100 });
    const refused = assert.rejects(acquiring, ClosedError);
    await clock.advance(100);
    const closing = b.close();
    await passing(clock, Promise.all([refused, closing]));
  }, 7);
});

test("advance() fires what falls due in order, and what that starts too [Z3]", async () => {
  const clock = new VirtualClock(100);
  const fired: string[] = [];
  clock.after(20, () => fired.push(`late at ${clock.now()}`));
  const cancel = clock.after(15, () => fired.push("cancelled"));
  clock.after(10, () => {
    fired.push(`early at ${clock.now()}`);
    clock.after(5, () => fired.push(`its own at ${clock.now()}, ${clock.wall()}`));
  });
  cancel();
  await clock.advance(19);
  assert.deepEqual(fired, ["early at 10", "its own at 15, 115"]);
  assert.equal(clock.pending, 1);
  await clock.advance(1);
  assert.equal(fired.at(-1), "late at 20");
});

test("an hour of heartbeats passes in no time [Z3]", async () => {
  await inWorld(async ({ clock, a }) => {
    const lease = await a.lock("x").acquire();
    await clock.advance(3_600_000);
    assert.equal(lease.signal.aborted, false);
    assert.equal(await lease.release(), true);
  });
});

test("a backend's clock is the one that was given, to be moved [Z3]", async () => {
  const backend = zake(undefined, { clock: new VirtualClock() });
  await backend.clock.advance(7);
  assert.equal(backend.clock.now(), 7);
});

test("an update after the clock was set back is not older than the one before [G10]", async () => {
  const virtual = new VirtualClock(1_000);
  let offset = 0;
  const clock = {
    now: () => virtual.now(),
    wall: () => virtual.wall() + offset,
    after: (ms: number, fire: () => void) => virtual.after(ms, fire),
  };
  await using coord = await getCoordinator(zake(undefined, { clock }));
  const group = coord.group<number>("g");
  await group.join(1, { create: true });
  offset = -500;
  await group.update(2);
  const { capabilities, joinedAt, updatedAt } = await group.member(coord.memberId);
  assert.deepEqual([capabilities, joinedAt, updatedAt], [2, new Date(1_000), new Date(1_000)]);
});

test("advance() and stall() refuse a time that is none, and leave the clock as it was [R3]", async () => {
  const clock = new VirtualClock();
  for (const ms of [NaN, -1, Infinity]) {
    await assert.rejects(clock.advance(ms), RangeError);
    assert.throws(() => clock.stall(ms), RangeError);
  }
  assert.deepEqual([clock.now(), clock.wall()], [0, 0]);
});

test("zake() takes no options in place of a name [R3]", () => {
  const clock = new VirtualClock();
  for (const wrong of [{ clock }, 7, null]) {
    assert.throws(() => zake(wrong as unknown as string), TypeError); // As plain JavaScript would.
  }
});

test("backends of one name share a world, those without one do not [Z1]", async () => {
  const name = crypto.randomUUID();
  await using a = await getCoordinator(zake(name), { memberId: "a" });
  await using b = await getCoordinator(`zake://${name}`, { memberId: "b" });
  await using c = await getCoordinator(zake(), { memberId: "c" });
  await using _lease = await a.lock("x").acquire();
  assert.equal(await b.lock("x").tryAcquire(), undefined);
  assert.notEqual(await c.lock("x").tryAcquire(), undefined);
  assert.throws(() => zake(name, { clock: new VirtualClock() }), TypeError);
});
