import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock, zake, type ZakeBackend } from "../../drivers/zake.ts";
import type { Ending, Opener, Session } from "../../driver.ts";
import { ConnectionError, type CoordinatorOptions, getCoordinator, LockLostError } from "../../mod.ts";
import { withSessions } from "../conformance/wrapping.ts";

/** Lets a coordinator play in virtual time, on sessions of which some members are replaced. */
async function play(
  options: CoordinatorOptions,
  change: (session: Session, clock: VirtualClock) => Partial<Session>,
  run: (parts: { coord: Awaited<ReturnType<typeof getCoordinator>>; clock: VirtualClock }) => Promise<void>,
): Promise<void> {
  const clock = new VirtualClock(1_000_000);
  // Our factories return openers; `Backend` hides that from users only.
  const backend = zake(undefined, { clock }) as ZakeBackend<VirtualClock> & Opener;
  const coord = await getCoordinator(withSessions(backend, (session) => change(session, clock)), options);
  await run({ coord, clock });
  await coord.close();
  await clock.advance(0);
  assert.equal(clock.pending, 0);
}

function away(): Promise<never> {
  return Promise.reject(new ConnectionError("Cannot reach the backend: it is away"));
}

test("a session that dies young, again and again, is opened with growing pauses [S6]", async () => {
  let opened = 0;
  const dying = (session: Session, clock: VirtualClock): Partial<Session> => {
    const lost = new AbortController();
    opened++;
    clock.after(10, () => lost.abort(new ConnectionError("Lost the session: the server says so")));
    return { ttl: session.ttl, lost: lost.signal };
  };
  await play({ ttl: 30_000 }, dying, async ({ clock }) => {
    await clock.advance(3_000);
    assert.ok(opened > 3 && opened < 12, `${opened} sessions in 3 s`);
    const before = opened;
    await clock.advance(60_000);
    assert.ok(opened - before < 16, `${opened - before} sessions in a minute`);
  });
});

test("a session that lasted is replaced at once [S6]", async () => {
  let opened = 0;
  const mortal = (session: Session, clock: VirtualClock): Partial<Session> => {
    const lost = new AbortController();
    opened++;
    const cancel = clock.after(20_000, () => {
      lost.abort(new ConnectionError("Lost the session: the server says so"));
    });
    return {
      lost: lost.signal,
      close: () => {
        cancel();
        return session.close();
      },
    };
  };
  await play({ ttl: 30_000 }, mortal, async ({ clock, coord }) => {
    for (let i = 2; i < 6; i++) {
      await clock.advance(20_001);
      assert.equal(coord.state, "connected");
      assert.equal(opened, i);
    }
  });
});

test("a call that waits for a session has a third of the ttl that was granted last [S9, S16]", async () => {
  let end = () => {};
  const greater = ({ ttl }: Session): Partial<Session> => {
    const lost = new AbortController();
    end = () => lost.abort(new ConnectionError("Lost the session: the server says so"));
    return { ttl: 8 * ttl, lost: lost.signal };
  };
  const clock = new VirtualClock(1_000_000);
  const backend = zake(undefined, { clock }) as ZakeBackend<VirtualClock> & Opener;
  const opener = withSessions(backend, greater);
  let isAway = false;
  const coord = await getCoordinator(
    { ...opener, open: (options) => isAway ? away() : opener.open(options) } as Opener,
    { ttl: 3_000 },
  );
  isAway = true;
  end();
  const outcomes: string[] = [];
  coord.groups().catch(({ code }: ConnectionError) => outcomes.push(code));
  await clock.advance(7_900);
  assert.deepEqual(outcomes, []);
  await clock.advance(200);
  assert.deepEqual(outcomes, ["CONNECTION"]);
  await coord.close();
});

/** A coordinator whose sessions end in some way, and whose beats have no answer while `isAway`. */
function unheard(ends: Ending, isAway: () => boolean): (session: Session) => Partial<Session> {
  return (session) => ({ ends, beat: () => isAway() ? away() : session.beat() });
}

test("where a connection ends a hold, the deadline still tells, without any answer [LE10, LE8, LE9]", async () => {
  let isAway = false;
  await play(
    { ttl: 10_000, margin: 4_000 },
    unheard("connection", () => isAway),
    async ({ coord, clock }) => {
      const lease = await coord.lock("x").acquire();
      assert.equal(lease.remaining(), Infinity);
      await clock.advance(20_000);
      assert.equal(lease.remaining(), Infinity);
      isAway = true;
      await clock.advance(5_900);
      clock.stall(200);
      assert.throws(() => lease.remaining(), LockLostError);
      assert.equal(lease.signal.aborted, true);
      isAway = false;
    },
  );
});

test("where only the kernel ends a hold, no silence does, but state tells of it [LE8, S2]", async () => {
  let isAway = false;
  const beaten = unheard("kernel", () => isAway);
  // This world, which is no kernel, keeps a session for twice as long as it is said to have.
  const change = (session: Session) => ({ ...beaten(session), ttl: session.ttl / 2 });
  await play({ ttl: 20_000 }, change, async ({ coord, clock }) => {
    const lease = await coord.lock("x").acquire();
    isAway = true;
    await clock.advance(9_000);
    assert.equal(coord.state, "suspended");
    assert.equal(lease.remaining(), Infinity);
    assert.equal(lease.signal.aborted, false);
    isAway = false;
    await clock.advance(4_000);
    assert.equal(coord.state, "connected");
    assert.equal(await lease.release(), true);
  });
});
