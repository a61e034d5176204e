import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock, zake, type ZakeBackend } from "../../drivers/zake.ts";
import type { Opener, Session } from "../../driver.ts";
import { ConnectionError, type Coordinator, getCoordinator } from "../../mod.ts";
import { throughout, withAcquire, withGroups, withSessions, type Wrap } from "../conformance/wrapping.ts";

/** Two coordinators in virtual time, the first of which has sessions of which some members are replaced. */
async function play(
  change: (session: Session) => Partial<Session>,
  run: (parts: { coord: Coordinator; other: Coordinator; clock: VirtualClock }) => Promise<void>,
): Promise<void> {
  const clock = new VirtualClock(1_000_000);
  // Our factories return openers; `Backend` hides that from users only.
  const backend = zake(undefined, { clock }) as ZakeBackend<VirtualClock> & Opener;
  const options = { ttl: 9_000, memberId: "a" };
  const coord = await getCoordinator(withSessions(backend, change), options);
  const other = await getCoordinator(backend, { memberId: "b" });
  await run({ coord, other, clock });
  await other.close();
  const closed = coord.close();
  await clock.advance(20_000);
  await closed;
  assert.equal(clock.pending, 0);
}

/** How calls have ended, by their names: the code of an error, or "done". */
function follow(calls: Record<string, Promise<unknown>>): Record<string, string> {
  const ended: Record<string, string> = {};
  for (const [name, call] of Object.entries(calls)) {
    call.then(() => ended[name] = "done", (error: unknown) => {
      ended[name] = error instanceof ConnectionError ? error.code : String(error);
    });
  }
  return ended;
}

function never(): Promise<never> {
  return new Promise(() => {});
}

test("no call outlives its deadline, though the driver never answers [S16]", async () => {
  let isAway = false;
  const hang: Wrap = (call) => (...parts) => isAway ? never() : call(...parts);
  const mute = (session: Session): Partial<Session> => {
    const { locks, groups } = throughout(session, hang);
    return {
      beat: hang(() => session.beat()),
      close: hang(() => session.close()),
      locks: {
        ...locks,
        watch: (target, signal) => isAway ? silence() : locks.watch(target, signal),
        acquire: hang(async (attempt) => {
          const grant = await session.locks.acquire(attempt);
          return grant && {
            token: grant.token,
            lost: grant.lost,
            check: hang(() => grant.check()),
            update: hang((value) => grant.update(value)),
            release: hang(() => grant.release()),
          };
        }),
      },
      groups: { ...groups, watch: (id, signal) => isAway ? silence() : groups.watch(id, signal) },
    };
  };
  await play(mute, async ({ coord, clock }) => {
    const lease = await coord.lock("x").acquire();
    const shared = await coord.lock("y").acquire();
    const leading = await coord.election("e").campaign();
    const membership = await coord.group("g").join({}, { create: true });
    isAway = true;
    const calls = {
      groups: coord.groups(),
      heartbeat: coord.heartbeat(),
      tryAcquire: coord.lock("free").tryAcquire(),
      atOnce: coord.lock("free too").acquire({ timeout: 0 }),
      tryWithSignal: coord.lock("also free").tryAcquire({ signal: new AbortController().signal }),
      tryCampaign: coord.election("free").tryCampaign(),
      holders: coord.lock("x").holders(),
      break: coord.lock("x").break(),
      isHeld: shared.isHeld(),
      release: lease.release(),
      proclaim: leading.proclaim("here"),
      leader: coord.election("e").leader(),
      watchLeader: coord.election("e").watch(),
      create: coord.group("new").create(),
      delete: coord.group("old").delete(),
      first: coord.group("g").update({ a: 1 }),
      second: membership.update({ a: 2 }),
      third: coord.group("g").update({ a: 3 }),
      members: coord.group("g").members(),
      member: coord.group("g").member("a"),
      leave: membership.leave(),
      evict: coord.group("g").leave(),
      join: coord.group("h").join(),
      watch: coord.group("i").watch(),
    };
    const ended = follow(calls);
    await clock.advance(2_900);
    assert.deepEqual(ended, {});
    await clock.advance(300);
    assert.deepEqual(
      Object.entries(calls).filter(([name]) => ended[name] !== "CONNECTION").map(([name]) =>
        `${name}: ${ended[name]}`
      ),
      [],
    );
  });
});

function silence(): AsyncIterable<never> {
  return { [Symbol.asyncIterator]: () => ({ next: never }) };
}

test("a call that has no answer in time tells by state, until a beat has one [S2, S16]", async () => {
  const silent = withGroups(() => ({ list: never }));
  await play(silent, async ({ coord, clock }) => {
    const told: string[] = [];
    coord.groups().catch(() => told.push(coord.state));
    await clock.advance(3_200);
    assert.deepEqual(told, ["suspended"]);
    await clock.advance(3_000);
    assert.equal(coord.state, "connected");
  });
});

test("a call that has no answer ends in time though its coordinator was closed meanwhile [S16]", async () => {
  const silent = withGroups(() => ({ list: never }));
  await play(silent, async ({ coord, clock }) => {
    const ended = follow({ groups: coord.groups() });
    await clock.advance(100);
    await coord.close();
    await clock.advance(3_200);
    assert.deepEqual(ended, { groups: "CONNECTION" });
  });
});

test("a try that was given up and is granted later leaves no holder [L14, S16]", async () => {
  for (const signal of [undefined, new AbortController().signal]) {
    const answers: (() => void)[] = [];
    const slow = withAcquire((locks) => async (attempt) => {
      await new Promise<void>((answer) => answers.push(answer));
      return await locks.acquire({ ...attempt, signal: new AbortController().signal });
    });
    await play(slow, async ({ coord, other, clock }) => {
      const ended = follow({ trying: coord.lock("x").tryAcquire(signal ? { signal } : {}) });
      await clock.advance(3_200);
      assert.deepEqual(ended, { trying: "CONNECTION" });
      for (const answer of answers) answer();
      await clock.advance(0);
      assert.deepEqual(await other.lock("x").holders(), []);
    });
  }
});

test("a join that was given up and is carried out later leaves no member, and the next one is its own [S16, G21]", async () => {
  let answer = () => {};
  const slow = withGroups((groups) => ({
    join: async (id, joining) => {
      if (joining.data.includes("slow")) await new Promise<void>((resolve) => answer = resolve);
      return await groups.join(id, joining);
    },
  }));
  await play(slow, async ({ coord, other, clock }) => {
    await other.group("g").create();
    const ended = follow({ join: coord.group("g").join({ slow: true }) });
    await clock.advance(3_200);
    assert.deepEqual(ended, { join: "CONNECTION" });
    const next = coord.group("g").join({ next: true });
    answer();
    await clock.advance(0);
    const membership = await next;
    assert.equal(membership.signal.aborted, false);
    const members = await other.group("g").members();
    assert.deepEqual([...members.values()].map(({ capabilities }) => capabilities), [{ next: true }]);
    await membership.leave();
    assert.equal((await other.group("g").members()).size, 0);
  });
});

test("calls queued on a group have one deadline, and their leave is made good [S16, LE15]", async () => {
  let answer = () => {};
  const slow = withGroups((groups) => ({
    update: async (id, member, data, presence) => {
      await new Promise<void>((resolve) => answer = resolve);
      await groups.update(id, member, data, presence);
    },
  }));
  await play(slow, async ({ coord, other, clock }) => {
    const membership = await coord.group("g").join({}, { create: true });
    const calls = {
      first: membership.update({ a: 1 }),
      second: membership.update({ a: 2 }),
      leave: membership.leave(),
    };
    const ended = follow(calls);
    await clock.advance(3_200);
    assert.deepEqual(ended, { first: "CONNECTION", second: "CONNECTION", leave: "CONNECTION" });
    answer();
    await clock.advance(1_000);
    assert.equal((await other.group("g").members()).size, 0);
    assert.equal(membership.signal.aborted, false);
  });
});
