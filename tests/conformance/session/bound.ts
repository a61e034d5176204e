import assert from "node:assert/strict";
import {
  ConnectionError,
  type Coordinator,
  LockBrokenError,
  LockLostError,
  SessionLostError,
} from "../../../mod.ts";
import { iterate, next, word } from "../reading.ts";
import type { Case } from "../suite.ts";
import { aborted, failure, within } from "../waiting.ts";

/** Longer than any case lasts: whoever is told before it was not told by a deadline. */
const LONG = 60_000;

/** More requests than one operation has. */
const STEPS = 4;

/** Resolves once the coordinator has another session than this one. */
async function replaced(
  coord: Coordinator,
  session: AbortSignal,
  eventually: (fn: () => boolean) => Promise<unknown>,
) {
  await eventually(() => coord.state === "connected" && coord.session.signal !== session);
}

export const bound: readonly Case[] = [
  {
    name: "a session ends with its connection: all that it had is signalled at once, and free",
    holds: ["S3", "S6", "S7", "S8", "LE9", "G11"],
    needs: ["proxy", "bound"],
    async run(stage) {
      const [way, name, other] = [await stage.proxied(), stage.name("lock"), stage.name("other")];
      const [one, two] = [await way.open({ ttl: LONG }), await stage.open({ ttl: LONG })];
      const { signal: session } = one.session;
      const held = await two.lock(other).acquire();
      const lease = await one.lock(name).acquire();
      const membership = await one.group(name).join({}, { create: true });
      const waiting = failure(one.lock(other).acquire());
      await stage.queued(other, 1);
      const next = two.lock(name).acquire();
      await stage.queued(name, 1);
      way.proxy.cut();
      assert.ok(await aborted(lease.signal) instanceof LockLostError);
      await aborted(membership.signal);
      assert.ok(await within(waiting, "the wait ends") instanceof SessionLostError);
      const successor = await within(next, "the lock is free");
      assert.ok(successor.token > lease.token);
      await stage.eventually(async () => (await two.group(name).members()).size === 0);
      await stage.queued(other, 0);
      assert.equal(await lease.release(), false);
      await replaced(one, session, stage.eventually);
      assert.equal(await successor.isHeld(), true);
      await held.release();
      assert.equal(await (await within(one.lock(other).acquire(), "it goes on")).release(), true);
    },
  },
  {
    name: "what waits while its server is killed has lost its session, whatever is heard of first",
    holds: ["S8"],
    needs: ["server", "bound"],
    async run(stage) {
      const own = await stage.ownServer();
      const [one, two] = [await own.open({ ttl: LONG }), await own.open({ ttl: LONG })];
      const names = [1, 2, 3].map((i) => stage.name(`lock-${i}`));
      for (const name of names) await one.lock(name).acquire();
      const waits = names.map((name) => failure(two.lock(name).acquire()));
      for (const name of names) await own.queued(name, 1);
      await own.server.kill();
      for (const error of await within(Promise.all(waits), "the waits end")) {
        assert.ok(error instanceof SessionLostError, String(error));
      }
    },
  },
  {
    name: "a call whose answer is lost with the session leaves nothing behind",
    holds: ["L14", "L15", "S7"],
    needs: ["proxy", "bound"],
    async run(stage) {
      const two = await stage.open({ ttl: LONG });
      for (let step = 0; step < STEPS; step++) {
        const [way, name] = [await stage.proxied(), stage.name("lock")];
        const one = await way.open({ ttl: LONG });
        const { signal: session } = one.session;
        const before = step % 2 === 0 ? undefined : await two.lock(name).acquire();
        const acquired = one.lock(name).acquire();
        const failed = failure(acquired);
        if (before) await stage.queued(name, 1);
        const dropped = way.proxy.dropAnswer();
        void before?.release();
        const error = await within(Promise.race([failed, dropped.then(() => failed)]), "the acquire ends");
        if (error !== undefined) {
          assert.ok(error instanceof SessionLostError || error instanceof ConnectionError, String(error));
        }
        way.proxy.cut();
        await aborted(session, "the session is over");
        if (error === undefined) assert.equal((await acquired).signal.aborted, true);
        assert.equal(await (await within(two.lock(name).acquire(), "the lock is free")).release(), true);
        await replaced(one, session, stage.eventually);
        const lease = await within(one.lock(name).acquire(), "the next session takes it");
        assert.equal(await lease.release(), true);
        await stage.eventually(async () => (await stage.entries(name)).length === 0);
      }
    },
  },
  {
    name: "a watch outlives the connection of its session, and reports what changed meanwhile",
    holds: ["W9", "W3", "E15"],
    needs: ["proxy", "bound"],
    async run(stage) {
      const [id, way] = [stage.name("group"), await stage.proxied()];
      const [one, observer] = [await stage.open({ ttl: LONG }), await way.open({ ttl: LONG })];
      const former = await one.group(id).join({ n: 1 }, { create: true });
      await using watch = await observer.group(id).watch();
      await using leaders = await observer.election(id).watch();
      const [events, leaderships] = [iterate(watch), iterate(leaders)];
      way.proxy.refuse();
      await stage.eventually(() => !watch.fresh && !leaders.fresh);
      await former.update({ n: 2 });
      const leadership = await one.election(id).campaign({ value: "one" });
      way.proxy.forward();
      assert.equal(word(await next(events, "the update is seen")), `updated ${one.memberId}`);
      assert.equal((await next(leaderships, "the leader is seen"))?.token, leadership.token);
      await stage.eventually(() => watch.fresh && leaders.fresh);
    },
  },
  {
    name:
      "a line that holds everything back for less than the ttl loses nothing, state tells, and a break is heard",
    holds: ["S2", "S10", "LE13", "L22"],
    needs: ["proxy", "bound"],
    async run(stage) {
      const [way, broken, name] = [await stage.proxied(), stage.name("lock"), stage.name("lock")];
      const [one, two] = [await way.open({ ttl: 15_000 }), await stage.open({ ttl: LONG })];
      const { signal: session } = one.session;
      const [doomed, kept] = [await one.lock(broken).acquire(), await one.lock(name).acquire()];
      way.proxy.hold();
      // The first is on its way; the others are not sent any more.
      const [taken, never] = [stage.name("lock"), stage.name("lock")];
      const tried = failure(one.lock(taken).tryAcquire());
      const [asked, waited] = [failure(one.lock(name).holders()), failure(one.lock(never).tryAcquire())];
      assert.equal(await two.lock(broken).break(), true);
      assert.ok(await within(two.lock(broken).acquire(), "the lock can be taken"));
      for (const error of await within(Promise.all([tried, asked, waited]), "the calls end")) {
        assert.ok(error instanceof ConnectionError, String(error));
      }
      assert.equal(one.state, "suspended");
      assert.equal(doomed.signal.aborted, false, "nobody could tell");
      way.proxy.forward();
      assert.ok(await aborted(doomed.signal) instanceof LockBrokenError);
      await stage.eventually(() => one.state === "connected");
      assert.equal(session.aborted, false);
      assert.equal(await within(kept.isHeld(), "the backend answers"), true);
      assert.equal(await kept.release(), true);
      for (const each of [taken, never]) {
        await stage.eventually(async () => (await stage.entries(each)).length === 0);
        assert.ok(await two.lock(each).tryAcquire(), "what was granted too late is given back");
      }
    },
  },
];
