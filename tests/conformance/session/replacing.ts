import assert from "node:assert/strict";
import { ConnectionError, type Coordinator, LockLostError, SessionLostError } from "../../../mod.ts";
import type { Case } from "../suite.ts";
import { aborted, failure, within } from "../waiting.ts";
import { throughout, withSessions, type Wrap } from "../wrapping.ts";

/** Collects the states of a coordinator, the first one included, until it is closed. */
function follow(coord: Coordinator): string[] {
  const seen: string[] = [];
  void (async () => {
    for await (const state of coord.states()) seen.push(state);
  })();
  return seen;
}

export const replacing: readonly Case[] = [
  {
    name: "a lost session is replaced by itself, and what was held stays lost",
    holds: ["S1", "S2", "S3", "S6", "S7", "C12", "LE9"],
    async run(stage) {
      const [lock, group] = [stage.name("lock"), stage.name("group")];
      // A session is given up on every backend when a manual heartbeat stops.
      const one = await stage.open({ heartbeat: "manual" });
      const states = follow(one);
      const first = one.session.signal;
      const lease = await one.lock(lock).acquire();
      const membership = await one.group(group).join({}, { create: true });
      assert.ok(await aborted(first, "the session is lost") instanceof SessionLostError);
      assert.ok(lease.signal.reason instanceof LockLostError, String(lease.signal.reason));
      assert.ok(membership.signal.aborted);
      assert.throws(() => lease.remaining(), LockLostError);
      await stage.eventually(() => one.state === "connected" && one.session.signal !== first);
      assert.equal(lease.signal.aborted, true);
      assert.deepEqual([await lease.isHeld(), await lease.release()], [false, false]);
      assert.equal(await membership.leave(), false);
      // Not before the ttl of the abandoned one is over; meanwhile nobody sends heartbeats for the others either.
      const again = await stage.eventually(() => one.lock(lock).acquire(), 60_000);
      assert.ok(again.token > lease.token);
      await one.close();
      await stage.eventually(() => states.at(-1) === "closed");
      assert.deepEqual(states.slice(0, 3), ["connected", "lost", "connected"]);
    },
  },
  {
    name: "acquire() that waits rejects with SessionLostError when the session is lost",
    holds: ["S8"],
    async run(stage) {
      const name = stage.name("lock");
      const [one, two] = [await stage.open(), await stage.open({ heartbeat: "manual" })];
      await using _lease = await one.lock(name).acquire();
      const waits = [
        two.lock(name).acquire(),
        two.lock(name).acquire({ mode: "shared" }),
        two.lock(name).acquire(),
      ];
      for (const error of await within(Promise.all(waits.map(failure)), "the waits end")) {
        assert.ok(error instanceof SessionLostError, String(error));
        assert.equal(error.code, "SESSION_LOST");
      }
      await stage.queued(name, 0);
    },
  },
  {
    name: "a call that finds its session lost is made on the next one, unless it may have been carried out",
    holds: ["S9"],
    async run(stage) {
      let isOver = false;
      // Each call has a coordinator of its own: sessions that die young one after the other are opened with pauses.
      const open = () =>
        stage.open({
          // The next call finds out that the session is over.
          wrap: (opener) =>
            withSessions(opener, (session) => {
              const end = new AbortController();
              const unless: Wrap = (call) => (...parts) => {
                if (!isOver) return call(...parts);
                isOver = false;
                end.abort(new SessionLostError("Cannot use the session: it is over"));
                return Promise.reject(end.signal.reason);
              };
              return { lost: end.signal, ...throughout(session, unless) };
            }),
        });
      const [id, made] = [stage.name("group"), stage.name("group")];
      await (await open()).group(made).create();
      const asking: Record<string, (one: Coordinator) => Promise<unknown>> = {
        groups: (one) => one.groups(),
        holders: (one) => one.lock(id).holders(),
        tryAcquire: (one) => one.lock(stage.name("lock")).tryAcquire(),
        tryCampaign: (one) => one.election(stage.name("election")).tryCampaign(),
        leader: (one) => one.election(id).leader(),
        members: (one) => one.group(made).members(),
        join: (one) => one.group(made).join(),
      };
      for (const [what, call] of Object.entries(asking)) {
        const one = await open();
        isOver = true;
        await within(call(one), what);
        assert.equal(isOver, false, what);
      }
      const ordering: Record<string, (one: Coordinator) => Promise<unknown>> = {
        create: (one) => one.group(id).create(),
        break: (one) => one.lock(id).break(),
        update: (one) => one.group(made).update({}),
        leave: (one) => one.group(made).leave(),
      };
      for (const [what, call] of Object.entries(ordering)) {
        const one = await open();
        isOver = true;
        const error = await within(failure(call(one)), what);
        const isUnknown = error instanceof ConnectionError && error.cause instanceof SessionLostError;
        assert.ok(isUnknown, `${what}: ${error}`);
      }
    },
  },
  {
    name: "calls while no session can be opened reject with ConnectionError in time, and work afterwards",
    holds: ["S9", "S6", "S16"],
    needs: ["line"],
    async run(stage) {
      const [line, name] = [await stage.line(), stage.name("lock")];
      const one = await line.open();
      const lease = await one.lock(name).acquire();
      line.sever();
      await aborted(lease.signal);
      await stage.eventually(() => one.state === "lost");
      const errors = [
        one.lock(name).acquire(),
        one.groups(),
        one.group(name).members(),
        one.election(name).leader(),
      ]
        .map((call) => within(failure(call), "the call ends"));
      for (const error of await Promise.all(errors)) {
        assert.ok(error instanceof ConnectionError, String(error));
      }
      line.heal();
      await stage.eventually(() => one.state === "connected");
      assert.ok(await within(one.lock(name).acquire(), "the lock is taken"));
    },
  },
  {
    name: "a reconnect within the life of the session shows in state alone",
    holds: ["S10", "S2"],
    needs: ["proxy"],
    async run(stage) {
      const [way, lock, group] = [await stage.proxied(), stage.name("lock"), stage.name("group")];
      const one = await way.open({ ttl: 15_000, margin: 500 });
      const two = await stage.open({ ttl: 15_000 });
      const states = follow(one);
      const lease = await one.lock(lock).acquire();
      const membership = await one.group(group).join({ a: 1 }, { create: true });
      const other = stage.name("lock");
      const held = await two.lock(other).acquire();
      const waiting = one.lock(other).acquire();
      await stage.queued(other, 1);
      // Where each request has a connection, there may be none at this moment.
      await stage.eventually(() => {
        if (!states.includes("suspended")) way.interrupt(() => way.proxy.cut());
        return states.includes("suspended");
      });
      way.heal();
      await stage.eventually(() => one.state === "connected");
      assert.equal(await within(lease.isHeld(), "the backend answers"), true);
      assert.deepEqual([lease.signal.aborted, membership.signal.aborted, one.session.signal.aborted], [
        false,
        false,
        false,
      ]);
      await held.release();
      assert.ok(await within(waiting, "the wait goes on"));
      assert.equal(await lease.release(), true);
      assert.ok(!states.includes("lost"), states.join());
    },
  },
];
