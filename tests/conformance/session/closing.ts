import assert from "node:assert/strict";
import { ClosedError, type Coordinator, GroupNotCreatedError } from "../../../mod.ts";
import type { Case } from "../suite.ts";
import { aborted, after, elapse, failure, within } from "../waiting.ts";

/** Every kind of call, each on a name of its own. */
function calls(coord: Coordinator, name: string): Record<string, () => Promise<unknown>> {
  return {
    acquire: () => coord.lock(name).acquire(),
    tryAcquire: () => coord.lock(name).tryAcquire(),
    use: () => coord.lock(name).use(() => {}),
    holders: () => coord.lock(name).holders(),
    break: () => coord.lock(`${name}-broken`).break(),
    join: () => coord.group(name).join({}, { create: true }),
    members: () => coord.group(name).members(),
    watch: () => coord.group(name).watch(),
    groups: () => coord.groups(),
    campaign: () => coord.election(name).campaign(),
    leader: () => coord.election(name).leader(),
    heartbeat: () => coord.heartbeat(),
  };
}

export const closing: readonly Case[] = [
  {
    name: "close() turns away who waits and who comes later",
    holds: ["S11", "S2", "S5"],
    async run(stage) {
      const name = stage.name("lock");
      const [one, two] = [await stage.open(), await stage.open()];
      await using _lease = await one.lock(name).acquire();
      const waiting = failure(two.lock(name).acquire());
      const behind = failure(two.lock(name).acquire({ timeout: 60_000 }));
      await stage.queued(name, 1);
      await within(Promise.all([two.close(), two.close()]), "close() resolves, each time it is called");
      for (const error of [await waiting, await behind]) {
        assert.ok(error instanceof ClosedError, String(error));
      }
      for (const [call, start] of Object.entries(calls(two, stage.name("late")))) {
        const error = await within(failure(start()), `${call}() ends`);
        assert.ok(error instanceof ClosedError, `${call}(): ${error}`);
        assert.equal(error.code, "CLOSED");
      }
      assert.equal(two.state, "closed");
      await stage.queued(name, 0);
    },
  },
  {
    name: "close() turns away who came in the same tick",
    holds: ["S11"],
    async run(stage) {
      const [one, name] = [await stage.open(), stage.name("lock")];
      const { signal } = new AbortController();
      // As long as somebody is waited for, the session lives, and could grant something.
      const held = await one.lock(stage.name("lock")).acquire();
      const late = [
        one.lock(name).acquire(),
        one.lock(name).acquire({ timeout: 60_000 }),
        one.lock(name).acquire({ signal }),
        one.election(name).campaign({ timeout: 60_000 }),
      ].map(failure);
      const closed = one.close({ grace: 60_000 });
      for (const error of await within(Promise.all(late), "all are turned away")) {
        assert.ok(error instanceof ClosedError, String(error));
      }
      assert.equal(await held.release(), true);
      await within(closed, "nobody else is waited for");
    },
  },
  {
    name: "close() fires the signals of all that is open, and gives it back",
    holds: ["S12", "S13"],
    async run(stage) {
      const [lock, group, election] = [stage.name("lock"), stage.name("group"), stage.name("election")];
      const [one, two] = [await stage.open(), await stage.open()];
      const lease = await one.lock(lock).acquire();
      const membership = await one.group(group).join({}, { create: true });
      const leadership = await one.election(election).campaign();
      await one.close();
      for (const { signal } of [lease, membership, leadership]) {
        assert.ok(signal.reason instanceof ClosedError, String(signal.reason));
      }
      assert.ok(await within(two.lock(lock).acquire(), "the lock can be taken"));
      assert.ok(await within(two.election(election).campaign(), "the election can be won"));
      assert.deepEqual([...(await two.group(group).members()).keys()], []);
      assert.equal(await lease.release(), false);
      assert.equal(await membership.leave(), false);
    },
  },
  {
    name: "close() waits for the owners, who still hold what they hold",
    holds: ["S13"],
    smoke: true,
    async run(stage) {
      const name = stage.name("lock");
      const [one, two] = [await stage.open(), await stage.open()];
      const work = Promise.withResolvers<string>();
      const started = Promise.withResolvers<AbortSignal>();
      const used = one.lock(name).use((lease) => {
        started.resolve(lease.signal);
        return work.promise;
      });
      const signal = await started.promise;
      const closed = one.close({ grace: 60_000 });
      assert.ok(await aborted(signal) instanceof ClosedError);
      assert.equal(await after(100, closed), "pending");
      assert.equal(await two.lock(name).tryAcquire(), undefined);
      work.resolve("done");
      assert.equal(await within(used, "the job ends as if nothing had happened"), "done");
      await within(closed, "close() resolves once the job has ended");
      assert.ok(await two.lock(name).tryAcquire());
    },
  },
  {
    name: "close() waits for the answer to an owner who gives back in time",
    holds: ["S13", "LE5", "E12"],
    async run(stage) {
      for (let i = 0; i < 3; i++) {
        const one = await stage.open();
        const lease = await one.lock(stage.name("lock")).acquire();
        const leadership = await one.election(stage.name("election")).campaign();
        const closed = one.close({ grace: 60_000 });
        await aborted(lease.signal);
        assert.deepEqual(await Promise.all([lease.release(), leadership.resign()]), [true, true]);
        await within(closed, "close() resolves");
      }
    },
  },
  {
    name: "close() waits for the owners no longer than grace",
    holds: ["S13"],
    async run(stage) {
      const name = stage.name("lock");
      const [one, two] = [await stage.open(), await stage.open()];
      await one.lock(name).acquire();
      const waiting = two.lock(name).acquire();
      await stage.queued(name, 1);
      await within(one.close({ grace: 50 }), "close() resolves");
      assert.ok(await within(waiting, "the next holds the lock"));
      await assert.rejects(two.close({ grace: -1 }), RangeError);
      await assert.rejects(two.close({ grace: Infinity }), RangeError);
    },
  },
  {
    name: "calls under way when the coordinator is closed reject with ClosedError, or have succeeded",
    holds: ["S11"],
    async run(stage) {
      const group = stage.name("group");
      for (let i = 0; i < 5; i++) {
        const one = await stage.open();
        const name = stage.name("late");
        const ends = Object.entries(calls(one, name)).map(async ([call, start]) =>
          [call, await failure(start())] as const
        );
        const joining = failure(one.group(group).join({}, { create: true }));
        if (i > 0) await elapse(i);
        await one.close();
        for (
          const [call, error] of [
            ...await within(Promise.all(ends), "the calls end"),
            ["join", await joining] as const,
          ]
        ) {
          const fine = error === undefined || error instanceof ClosedError ||
            error instanceof GroupNotCreatedError;
          assert.ok(fine, `${call}(): ${error}`);
        }
      }
    },
  },
  {
    name: "disposal closes the coordinator",
    holds: ["S14"],
    smoke: true,
    async run(stage) {
      const name = stage.name("lock");
      let state: Coordinator | undefined;
      {
        await using one = await stage.open();
        state = one;
        await one.lock(name).acquire();
      }
      assert.equal(state.state, "closed");
      assert.ok(await (await stage.open()).lock(name).tryAcquire());
    },
  },
];
