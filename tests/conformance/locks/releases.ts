import assert from "node:assert/strict";
import { ConnectionError, LockBrokenError } from "../../../mod.ts";
import type { Case } from "../suite.ts";
import { aborted, failure, within } from "../waiting.ts";

export const releases: readonly Case[] = [
  {
    name: "release() is true once, then false, and fires no signal",
    holds: ["LE2", "LE4", "LE5"],
    smoke: true,
    async run(stage) {
      const name = stage.name("lock");
      const [one, two] = [await stage.open(), await stage.open()];
      const lease = await one.lock(name).acquire();
      assert.equal(await lease.isHeld(), true);
      assert.ok(lease.remaining() > 0);
      assert.equal(await lease.release(), true);
      assert.equal(await lease.release(), false);
      assert.equal(await lease.isHeld(), false);
      assert.deepEqual(await stage.entries(name), []);
      await (await two.lock(name).acquire()).release();
      assert.equal(lease.signal.aborted, false);
    },
  },
  {
    name: "release() twice at once gives back once",
    holds: ["LE5"],
    async run(stage) {
      const name = stage.name("lock");
      const one = await stage.open();
      const lease = await one.lock(name).acquire();
      const next = one.lock(name).acquire();
      const results = await Promise.all([lease.release(), lease.release()]);
      assert.deepEqual(results.sort(), [false, true]);
      assert.equal(await (await within(next, "the next holds")).isHeld(), true);
    },
  },
  {
    name: "release() of a lease that was broken never gives back the lock of its successor",
    holds: ["LE5", "LE14"],
    smoke: true,
    async run(stage) {
      const name = stage.name("lock");
      const [one, two, three] = [await stage.open(), await stage.open(), await stage.open()];
      const old = await one.lock(name).acquire();
      assert.equal(await two.lock(name).break(), true);
      const lease = await two.lock(name).acquire();
      assert.equal(await old.release(), false);
      assert.equal(await old.isHeld(), false);
      assert.equal(await lease.isHeld(), true);
      assert.equal(await three.lock(name).tryAcquire(), undefined);
    },
  },
  {
    name: "release() of a lease that was lost with its session never gives back the lock of its successor",
    holds: ["LE5", "LE14", "C12"],
    async run(stage) {
      const name = stage.name("lock");
      const [one, two] = [await stage.open({ heartbeat: "manual" }), await stage.open()];
      const old = await one.lock(name).acquire();
      const lease = await within(two.lock(name).acquire(), "the lock is free again");
      assert.equal(old.signal.aborted, true);
      assert.equal(await old.release(), false);
      assert.equal(await lease.isHeld(), true);
    },
  },
  {
    name: "release() while the backend is away is a ConnectionError, and is done in the background",
    holds: ["LE15"],
    needs: ["line"],
    async run(stage) {
      const name = stage.name("lock");
      const line = await stage.line();
      const [one, two] = [await line.open({ ttl: 10_000 }), await stage.open({ ttl: 20_000 })];
      const lease = await one.lock(name).acquire();
      const next = two.lock(name).acquire();
      await stage.queued(name, 1);
      line.sever();
      await assert.rejects(
        within(lease.release(), "the release ends although nobody answers"),
        ConnectionError,
      );
      line.heal();
      const successor = await within(next, "the next holds");
      assert.equal(lease.signal.aborted, false);
      assert.equal(await lease.release(), false);
      assert.equal(await successor.isHeld(), true);
    },
  },
  {
    name: "release() while the backend stays away: the lock is free when the session has ended",
    holds: ["LE15", "C10"],
    needs: ["line", "expiry"],
    async run(stage) {
      const name = stage.name("lock");
      const line = await stage.line();
      const [one, two] = [await line.open(), await stage.open({ ttl: 20_000 })];
      const lease = await one.lock(name).acquire();
      const next = two.lock(name).acquire();
      line.sever();
      assert.ok(await within(failure(lease.release()), "the release ends") instanceof ConnectionError);
      assert.equal(await (await within(next, "the next holds")).isHeld(), true);
    },
  },
  {
    name: "disposal of a lease never throws for the backend's failure, and use() keeps its result",
    holds: ["LE16"],
    needs: ["line"],
    async run(stage) {
      const line = await stage.line();
      const one = await line.open();
      const [name, other] = [stage.name("lock"), stage.name("lock")];
      const lease = await one.lock(other).acquire();
      const result = await within(
        one.lock(name).use(() => {
          line.sever();
          return "result";
        }),
        "use() ends",
      );
      assert.equal(result, "result");
      await within(Promise.resolve(lease[Symbol.asyncDispose]()), "the disposal ends");
      line.heal();
      await stage.eventually(async () => (await stage.entries(name)).length === 0);
      await stage.eventually(async () => (await stage.entries(other)).length === 0);
    },
  },
  {
    name: "await using gives a lease back, also one that was broken meanwhile",
    holds: ["LE5", "LE16"],
    async run(stage) {
      const name = stage.name("lock");
      const [one, two] = [await stage.open(), await stage.open()];
      {
        await using _lease = await one.lock(name).acquire();
      }
      assert.deepEqual(await stage.entries(name), []);
      {
        await using lease = await one.lock(name).acquire();
        await two.lock(name).break();
        assert.ok(await aborted(lease.signal) instanceof LockBrokenError);
      }
      assert.ok(await two.lock(name).tryAcquire());
    },
  },
];
