import assert from "node:assert/strict";
import { AcquireTimeoutError, ClosedError, LockBrokenError, LockLostError } from "../../../mod.ts";
import type { Case } from "../suite.ts";
import { aborted, failure, within } from "../waiting.ts";

export const uses: readonly Case[] = [
  {
    name: "use() holds the lock while fn runs, returns its result, and gives the lock back",
    holds: ["L3"],
    smoke: true,
    async run(stage) {
      const name = stage.name("lock");
      const [one, two] = [await stage.open(), await stage.open()];
      const result = await one.lock(name).use(async (lease) => {
        assert.equal(await lease.isHeld(), true);
        assert.equal(await two.lock(name).tryAcquire(), undefined);
        return [lease.token];
      });
      assert.ok((result[0] ?? 0n) > 0n);
      assert.equal(await one.lock(name).use(() => 7, { mode: "shared", timeout: 0 }), 7);
      assert.deepEqual(await stage.entries(name), []);
    },
  },
  {
    name: "use() gives the lock back when fn fails, and rejects with fn's own error",
    holds: ["L3"],
    async run(stage) {
      const [one, name] = [await stage.open(), stage.name("lock")];
      const mistake = new RangeError("fn's own");
      assert.strictEqual(await failure(one.lock(name).use(() => Promise.reject(mistake))), mistake);
      const thrown = one.lock(name).use(() => {
        throw mistake;
      });
      assert.strictEqual(await failure(thrown), mistake);
      assert.deepEqual(await stage.entries(name), []);
    },
  },
  {
    name: "use() rejects with LockLostError when the lock was broken before fn settled",
    holds: ["L20", "L22"],
    async run(stage) {
      const name = stage.name("lock");
      const [one, two] = [await stage.open(), await stage.open()];
      const lost = one.lock(name).use(async (lease) => {
        await two.lock(name).break();
        await aborted(lease.signal);
        return "a result that does not count";
      });
      const error = await within(failure(lost), "use() ends");
      assert.ok(error instanceof LockBrokenError && error instanceof LockLostError, String(error));
    },
  },
  {
    name: "use() rejects with LockLostError also when nobody had told of the break",
    holds: ["L20", "L22"],
    async run(stage) {
      const [one, two] = [await stage.open(), await stage.open()];
      for (let i = 0; i < 10; i++) {
        const name = stage.name("lock");
        const lost = one.lock(name).use(async () => {
          await two.lock(name).break();
          return "a result that does not count";
        });
        const error = await within(failure(lost), "use() ends");
        assert.ok(error instanceof LockBrokenError, String(error));
        const mistake = new RangeError("fn's own");
        const failed = one.lock(name).use(async () => {
          await two.lock(name).break();
          throw mistake;
        });
        const other = await within(failure(failed), "use() ends");
        assert.ok(other instanceof LockBrokenError, String(other));
        assert.strictEqual(other.cause, mistake);
      }
    },
  },
  {
    name: "use() rejects with LockLostError, whose cause is the error that fn ended with",
    holds: ["L20"],
    async run(stage) {
      const name = stage.name("lock");
      const [one, two] = [await stage.open(), await stage.open()];
      const mistake = new RangeError("fn's own");
      const lost = one.lock(name).use(async (lease) => {
        await two.lock(name).break();
        await aborted(lease.signal);
        throw mistake;
      });
      const error = await within(failure(lost), "use() ends");
      assert.ok(error instanceof LockLostError, String(error));
      assert.strictEqual(error.cause, mistake);
      assert.deepEqual([error.code, error.driver], ["LOCK_BROKEN", stage.driver]);
    },
  },
  {
    name: "use() rejects with LockLostError when the session was lost before fn settled",
    holds: ["L20", "C12", "S7"],
    async run(stage) {
      const name = stage.name("lock");
      const one = await stage.open({ heartbeat: "manual" });
      const lost = one.lock(name).use((lease) => aborted(lease.signal));
      const error = await within(failure(lost), "use() ends");
      assert.ok(error instanceof LockLostError && error.code === "LOCK_LOST", String(error));
      // What is abandoned is free after its ttl; meanwhile sessions that send no heartbeat are lost, and so are waits.
      await stage.eventually(() => one.lock(name).use(() => true), 60_000);
    },
  },
  {
    name: "use() passes the reason of the signal on to fn, and waits for it",
    holds: ["L3", "S12"],
    async run(stage) {
      const one = await stage.open();
      let reason: unknown;
      const { promise: started, resolve: start } = Promise.withResolvers<void>();
      const job = failure(
        one.lock(stage.name("lock")).use(async (lease) => {
          start();
          reason = await aborted(lease.signal);
        }),
      );
      await started;
      await one.close({ grace: 5_000 });
      assert.equal(await within(job, "the job ends"), undefined);
      assert.ok(reason instanceof ClosedError, String(reason));
    },
  },
  {
    name: "use() within use() of one name deadlocks, and says who holds",
    holds: ["L10", "L11"],
    async run(stage) {
      const [one, name] = [await stage.open(), stage.name("lock")];
      await one.lock(name).use(async () => {
        const nested = one.lock(name).use(() => assert.fail("it must not run"), { timeout: 200 });
        const error = await within(failure(nested), "the time runs out");
        assert.ok(
          error instanceof AcquireTimeoutError && error.message.includes(one.memberId),
          String(error),
        );
      });
    },
  },
];
