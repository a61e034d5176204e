import assert from "node:assert/strict";
import type { Opener } from "../../../driver.ts";
import { LockLostError } from "../../../mod.ts";
import type { Case } from "../suite.ts";
import { aborted, elapse, failure, within } from "../waiting.ts";
import { withSessions } from "../wrapping.ts";

/** The answers to heartbeats come late, as on a slow network. */
function slowBeats(delay: () => number): (opener: Opener) => Opener {
  return (opener) =>
    withSessions(opener, (session) => ({
      beat: async () => {
        await session.beat();
        await elapse(delay());
      },
    }));
}

export const losses: readonly Case[] = [
  {
    name: "signal fires a margin before another can be granted the lock",
    holds: ["LE10", "C11"],
    needs: ["line", "expiry"],
    async run(stage) {
      const [line, name, margin] = [await stage.line(), stage.name("lock"), 1_600];
      const [one, two] = [await line.open({ ttl: 2_400, margin }), await stage.open({ ttl: 20_000 })];
      const lease = await one.lock(name).acquire();
      const granted = two.lock(name).acquire().then(() => performance.now());
      await stage.queued(name, 1);
      const lost = aborted(lease.signal).then(() => performance.now());
      line.sever();
      const ahead = await within(granted, "the lock is granted to the next") - await lost;
      // Both timers may be late on a busy machine: half of it is what a test can ask for.
      assert.ok(ahead >= margin / 2, `the signal fired ${ahead} ms ahead`);
    },
  },
  {
    name: "signal in one process has fired before another process is granted the lock",
    holds: ["LE10", "LE14", "X14"],
    needs: ["proxy", "processes", "expiry"],
    async run(stage) {
      const [way, name] = [await stage.proxied(), stage.name("lock")];
      const [holder, waiter] = [await way.worker(), await stage.worker(undefined, { ttl: 20_000 })];
      const held = await holder.acquire(name);
      const next = waiter.acquire(name);
      await stage.queued(name, 1);
      const lost = held.lost();
      way.sever();
      const [lease, loss] = await within(Promise.all([next, lost]), "the lock has changed hands");
      assert.ok(loss.at <= lease.at, `lost at ${loss.at}, granted at ${lease.at}`);
      assert.equal(loss.name, "LockLostError");
      assert.ok(lease.token > held.token);
      way.heal();
      assert.equal(await held.release(), false);
      assert.equal(await lease.isHeld(), true);
    },
  },
  {
    name: "remaining() counts from when the renewal was sent, not from its answer",
    holds: ["LE10", "LE3"],
    needs: ["expiry"],
    async run(stage) {
      const [ttl, margin, delay] = [9_000, 1_000, 1_000];
      const one = await stage.open({ ttl, margin, heartbeat: "manual", wrap: slowBeats(() => delay) });
      const lease = await one.lock(stage.name("lock")).acquire();
      await one.heartbeat();
      const left = lease.remaining();
      assert.ok(left > 0 && left <= ttl - margin - delay * 0.9, `${left} ms left`);
    },
  },
  {
    name: "a renewal whose answer comes after the deadline revives nothing",
    holds: ["LE10", "S7"],
    needs: ["expiry"],
    async run(stage) {
      let delay = 0;
      const one = await stage.open({ wrap: slowBeats(() => delay) });
      const [session, lease] = [one.session.signal, await one.lock(stage.name("lock")).acquire()];
      delay = 3 * stage.ttl;
      assert.ok(await aborted(lease.signal) instanceof LockLostError);
      delay = 0;
      await stage.eventually(() => one.state === "connected" && one.session.signal !== session);
      assert.equal(session.aborted, true);
      assert.throws(() => lease.remaining(), LockLostError);
      assert.equal(await lease.isHeld(), false);
    },
  },
  {
    name: "a hold that is renewed in time outlives many ttls",
    holds: ["C10", "LE10"],
    async run(stage) {
      // Servers, too, stand still for a second while others keep the disk busy.
      const ttl = 4_500;
      const one = await stage.open({ ttl });
      const lease = await one.lock(stage.name("lock")).acquire();
      const membership = await one.group(stage.name("group")).join({}, { create: true });
      for (let i = 0; i < 12; i++) {
        await elapse(ttl / 3);
        assert.ok(lease.remaining() > 0);
      }
      assert.deepEqual([lease.signal.aborted, membership.signal.aborted, one.state], [
        false,
        false,
        "connected",
      ]);
      assert.equal(await lease.isHeld(), true);
      assert.equal(await lease.release(), true);
    },
  },
  {
    name: "a line that is severed for less than the ttl loses nothing, and state tells",
    holds: ["S10", "S2"],
    needs: ["line"],
    async run(stage) {
      const [line, name] = [await stage.line(), stage.name("lock")];
      const one = await line.open({ ttl: 10_000 });
      const lease = await one.lock(name).acquire();
      line.interrupt();
      // A beat may come so late that what is left of the ttl is no time for a machine that is busy.
      const call = failure(one.groups());
      await stage.eventually(() => one.state === "suspended");
      line.heal();
      await stage.eventually(() => one.state === "connected");
      await within(call, "the call ends");
      assert.equal(await within(lease.isHeld(), "the backend answers"), true);
      assert.equal(lease.signal.aborted, false);
      assert.equal(await lease.release(), true);
    },
  },
];
