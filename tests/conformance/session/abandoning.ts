import assert from "node:assert/strict";
import { ConnectionError, LockLostError, SessionLostError } from "../../../mod.ts";
import type { Case } from "../suite.ts";
import { aborted, failure, within } from "../waiting.ts";
import { withSessions } from "../wrapping.ts";

/** A session whose heartbeat is manual is lost on every backend: after the ttl less the margin. */
const [TTL, MARGIN] = [5_000, 3_500];

export const abandoning: readonly Case[] = [
  {
    name: "what is lost by its deadline is given to nobody before the ttl is over",
    holds: ["LE17", "S17"],
    async run(stage) {
      const name = stage.name("name");
      const two = await stage.open();
      const start = performance.now();
      const one = await stage.open({ ttl: TTL, margin: MARGIN, heartbeat: "manual" });
      const until = start + one.session.ttl;
      const lease = await one.lock(name).acquire();
      const leadership = await one.election(name).campaign();
      const membership = await one.group(name).join({}, { create: true });
      const stamped = <T>(granted: Promise<T>) => granted.then(() => performance.now());
      const taken = stamped(two.lock(name).acquire());
      const elected = stamped(two.election(name).campaign());
      await stage.queued(name, 1);
      assert.ok(await aborted(lease.signal) instanceof LockLostError);
      assert.ok(leadership.signal.aborted && membership.signal.aborted);
      const [members, leader] = [await two.group(name).members(), await two.election(name).leader()];
      // Else they were read too late, on a machine that stood still.
      if (performance.now() < until - MARGIN / 2) {
        assert.ok(members.has(one.memberId), "the member is there while it is not certain to have stopped");
        assert.equal(leader?.memberId, one.memberId);
      }
      const granted = await within(Promise.all([taken, elected]), "both are granted to the next", 60_000);
      for (const at of granted) assert.ok(at >= until, `granted ${until - at} ms before the ttl was over`);
    },
  },
  {
    name: "close() gives back at once also what was lost and abandoned",
    holds: ["S13"],
    needs: ["NON_TIMEOUT_BASED"],
    async run(stage) {
      const name = stage.name("lock");
      const [one, two] = [
        await stage.open({ ttl: 120_000, margin: 119_000, heartbeat: "manual" }),
        await stage.open(),
      ];
      const lease = await one.lock(name).acquire();
      await aborted(lease.signal);
      await one.close();
      assert.ok(await within(two.lock(name).acquire(), "the lock can be taken"));
    },
  },
  {
    name: "who waits is turned away when the session is lost, though the driver never says a word",
    holds: ["S8"],
    async run(stage) {
      const name = stage.name("lock");
      const one = await stage.open({
        heartbeat: "manual",
        wrap: (opener) =>
          withSessions(opener, ({ locks }) => ({
            locks: {
              acquire: () => new Promise(() => {}),
              entries: (target) => locks.entries(target),
              watch: (target, signal) => locks.watch(target, signal),
              break: (target) => locks.break(target),
            },
          })),
      });
      const waits = [
        one.lock(name).acquire(),
        one.lock(name).acquire({ timeout: 60_000 }),
        one.election(name).campaign(),
      ];
      for (const error of await within(Promise.all(waits.map(failure)), "the waits end")) {
        assert.ok(error instanceof SessionLostError, String(error));
      }
      const tried = failure(one.lock(stage.name("lock")).tryAcquire());
      assert.ok(
        await within(tried, "the try ends") instanceof ConnectionError,
        "no session lived long enough",
      );
    },
  },
  {
    name: "a session of which less is granted than its margin is opened once, and has half of it",
    holds: ["C10", "C11"],
    async run(stage) {
      let opened = 0;
      const asked = 30_000;
      const one = await stage.open({
        ttl: asked,
        margin: asked / 2,
        wrap: (opener) =>
          withSessions(opener, ({ ttl }) => {
            opened++;
            return { ttl: ttl / 3, ends: "expiry" };
          }),
      });
      const granted = one.session.ttl;
      assert.ok(granted < asked);
      const lease = await one.lock(stage.name("lock")).acquire();
      const left = lease.remaining();
      assert.ok(left > 0 && left <= granted / 2, `${left} ms of ${granted}`);
      assert.equal(await lease.release(), true);
      assert.equal(opened, 1);
    },
  },
];
