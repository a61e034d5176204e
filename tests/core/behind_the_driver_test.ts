import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock, zake, type ZakeBackend } from "../../drivers/zake.ts";
import type { Opener, OpenOptions } from "../../driver.ts";
import { CapacityError, ClosedError, ConnectionError, type Coordinator, getCoordinator } from "../../mod.ts";
import { withAcquire, withGroups, withSessions } from "../conformance/wrapping.ts";

/** What core does when a driver answers late, or not as it should. */
function world() {
  const clock = new VirtualClock(1_000_000);
  // Our factories return openers; `Backend` hides that from users only.
  const backend = zake(undefined, { clock }) as ZakeBackend<VirtualClock> & Opener;
  return { clock, backend };
}

test("the removal of a member that had no answer is repeated until it is confirmed [G13]", async () => {
  const { clock, backend } = world();
  let removals = 0;
  const opener = withSessions(
    backend,
    withGroups((groups) => ({
      remove: async (id, member, presence) => {
        if (++removals < 4) throw new ConnectionError("Cannot reach the backend: it is away");
        await groups.remove(id, member, presence);
      },
    })),
  );
  const [coord, other] = [await getCoordinator(opener), await getCoordinator(backend)];
  const membership = await coord.group("g").join({}, { create: true });
  await assert.rejects(membership.leave(), ConnectionError);
  assert.equal((await other.group("g").members()).size, 1);
  await clock.advance(5_000);
  assert.equal((await other.group("g").members()).size, 0);
  assert.equal(removals, 4);
  await Promise.all([coord.close(), other.close()]);
});

test("what a session says of its connection when another has followed it changes no state [S2]", async () => {
  const { clock, backend } = world();
  const opened: OpenOptions[] = [];
  const opener: Opener = {
    ...withSessions(backend, () => ({})),
    open: (options) => {
      opened.push(options);
      return backend.open(options);
    },
  };
  const coord = await getCoordinator(opener, { memberId: "a" });
  backend.expire("a");
  await clock.advance(1_000);
  const [former, present] = opened;
  assert.ok(former && present && opened.length === 2);
  assert.equal(coord.state, "connected");
  former.note("suspended");
  assert.equal(coord.state, "connected");
  present.note("suspended");
  assert.equal(coord.state, "suspended");
  former.note("reconnected");
  assert.equal(coord.state, "suspended");
  await coord.close();
});

test("a membership that begins while the coordinator closes hears of that [S12, S13]", async () => {
  const { clock, backend } = world();
  const answers: (() => void)[] = [];
  const opener = withSessions(
    backend,
    withGroups((groups) => ({
      join: async (id, joining) => {
        await new Promise<void>((answer) => answers.push(answer));
        return await groups.join(id, joining);
      },
    })),
  );
  const coord = await getCoordinator(opener);
  const lease = await coord.lock("x").acquire(); // Something that close() waits for.
  await coord.group("g").create();
  const joining = coord.group("g").join();
  await clock.advance(0);
  const closing = coord.close({ grace: 2_000 });
  for (const answer of answers) answer();
  const membership = await joining;
  assert.ok(membership.signal.reason instanceof ClosedError);
  await lease.release();
  await clock.advance(2_000);
  await closing;
});

test("a reader joins no wait that is being given up [L13, L14]", async () => {
  const { clock, backend } = world();
  const left = Promise.withResolvers<void>();
  const opener = withSessions(
    backend,
    withAcquire((locks) => async (attempt) => {
      try {
        return await locks.acquire(attempt);
      } catch (error) {
        await left.promise; // The backend takes its time to forget the attempt.
        throw error;
      }
    }),
  );
  const [coord, other] = [await getCoordinator(opener), await getCoordinator(backend)];
  const busy = await other.lock("x").acquire();
  const stop = new AbortController();
  const first = assert.rejects(coord.lock("x").acquire({ mode: "shared", signal: stop.signal }), /enough/);
  await clock.advance(0);
  stop.abort(new Error("enough"));
  await clock.advance(0);
  const second = coord.lock("x").acquire({ mode: "shared" });
  await clock.advance(1_000);
  await first;
  left.resolve();
  await busy.release();
  await clock.advance(0);
  assert.equal((await second).mode, "shared");
  await Promise.all([coord.close(), other.close()]);
});

test("lead() that is refused again and again rests longer and longer in between [E4]", async () => {
  const { clock, backend } = world();
  let tries = 0;
  const opener = withSessions(
    backend,
    withAcquire(() => () => {
      tries++;
      return Promise.reject(new ConnectionError("Cannot use the backend: this user may not write"));
    }),
  );
  const coord = await getCoordinator(opener, { ttl: 30_000 });
  const stop = new AbortController();
  const leading = coord.election("e").lead(async () => {}, { signal: stop.signal });
  await clock.advance(60_000);
  assert.ok(tries > 5 && tries < 20, `${tries} tries in a minute`);
  stop.abort(new Error("enough"));
  await assert.rejects(leading, /enough/);
  await coord.close();
});

test("lead() that has no room says so at first, and tries again once it has led [E19, E4, R7]", async () => {
  const { clock, backend } = world();
  let isFull = true;
  const opener = withSessions(
    backend,
    withAcquire((locks) => (attempt) =>
      isFull
        ? Promise.reject(new CapacityError("Cannot open a connection to wait on: there are too many"))
        : locks.acquire(attempt)
    ),
  );
  const [coord, other] = [await getCoordinator(opener), await getCoordinator(backend)];
  const election = coord.election("e");
  await assert.rejects(election.lead(async () => {}), CapacityError);
  isFull = false;
  const stop = new AbortController();
  const tokens: bigint[] = [];
  const leading = election.lead(async ({ token, signal }) => {
    tokens.push(token);
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
  }, { signal: stop.signal });
  await clock.advance(0);
  isFull = true;
  backend.expire(coord.memberId);
  await clock.advance(5_000);
  assert.equal(tokens.length, 1);
  isFull = false;
  await clock.advance(60_000);
  assert.equal(tokens.length, 2);
  stop.abort(new Error("enough"));
  await assert.rejects(leading, /enough/);
  await Promise.all([coord.close(), other.close()]);
});

test("a coordinator keeps no group that it has left [G13]", async () => {
  const { backend } = world();
  // What it keeps is no part of what users see.
  const coord = await getCoordinator(backend) as Coordinator & { memberships: Map<string, unknown> };
  for (let i = 0; i < 100; i++) {
    const membership = await coord.group(`g${i}`).join({}, { create: true });
    if (i % 2 === 0) await membership.leave();
    else await coord.group(`g${i}`).leave();
    await coord.group(`g${i}`).delete();
  }
  assert.equal(coord.memberships.size, 0);
  await coord.close();
});
