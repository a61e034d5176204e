import assert from "node:assert/strict";
import { LockBrokenError } from "../../../mod.ts";
import type { Case } from "../suite.ts";
import { aborted, within } from "../waiting.ts";

export const breaking: readonly Case[] = [
  {
    name: "break() of a lock that nobody holds is false, and changes nothing",
    holds: ["L5"],
    async run(stage) {
      const [one, name] = [await stage.open(), stage.name("lock")];
      assert.equal(await one.lock(name).break(), false);
      const lease = await one.lock(name).acquire();
      await lease.release();
      assert.equal(await one.lock(name).break(), false);
      assert.ok((await one.lock(name).acquire()).token > lease.token);
    },
  },
  {
    name: "break() frees the lock at once, tells its holder, and new tokens are higher",
    holds: ["L5", "L21", "L22", "L23", "LE6", "LE13"],
    smoke: true,
    async run(stage) {
      const name = stage.name("lock");
      const [one, two] = [await stage.open(), await stage.open()];
      const old = await one.lock(name).acquire();
      assert.equal(await two.lock(name).break(), true);
      const lease = await two.lock(name).tryAcquire();
      assert.ok(lease, "when break() has resolved, the lock can be taken");
      assert.ok(lease.token > old.token, `${lease.token} after ${old.token}`);
      const reason = await aborted(old.signal);
      assert.ok(reason instanceof LockBrokenError, String(reason));
      assert.deepEqual([reason.code, reason.driver], ["LOCK_BROKEN", stage.driver]);
      assert.throws(() => old.remaining(), LockBrokenError);
      assert.deepEqual([await old.isHeld(), await old.release(), await lease.isHeld()], [false, false, true]);
      const [holder] = await one.lock(name).holders();
      assert.deepEqual([holder?.memberId, holder?.token], [two.memberId, lease.token]);
    },
  },
  {
    name: "break() that nobody had told of fires the signal when the lock is given back",
    holds: ["L22", "LE5", "LE13"],
    async run(stage) {
      const [one, two] = [await stage.open(), await stage.open()];
      for (let i = 0; i < 10; i++) {
        const name = stage.name("lock");
        const old = await one.lock(name).acquire();
        const { signal } = old;
        assert.equal(await two.lock(name).break(), true);
        assert.equal(await old.release(), false);
        assert.ok(signal.reason instanceof LockBrokenError, String(signal.reason));
        assert.throws(() => old.remaining(), LockBrokenError);
      }
    },
  },
  {
    name: "break() with waiters in line lets the first one in, and keeps the others' places",
    holds: ["L21", "L22", "L23", "L16"],
    needs: ["FAIR"],
    async run(stage) {
      const name = stage.name("lock");
      const [one, two, three, four] = [
        await stage.open(),
        await stage.open(),
        await stage.open(),
        await stage.open(),
      ];
      const old = await one.lock(name).acquire();
      const served: string[] = [];
      const first = two.lock(name).acquire().then((lease) => (served.push("first"), lease));
      await stage.queued(name, 1);
      const second = three.lock(name).acquire().then((lease) => (served.push("second"), lease));
      await stage.queued(name, 2);
      assert.equal(await four.lock(name).break(), true);
      const lease = await within(first, "the first waiter holds");
      assert.ok(await aborted(old.signal) instanceof LockBrokenError);
      assert.ok(lease.token > old.token, `${lease.token} after ${old.token}`);
      await lease.release();
      const last = await within(second, "the second waiter holds");
      assert.ok(last.token > lease.token, `${last.token} after ${lease.token}`);
      assert.deepEqual(served, ["first", "second"]);
      assert.equal(lease.signal.aborted, false);
    },
  },
  {
    name: "break() of shared holds tells every holder",
    holds: ["L21", "L22"],
    async run(stage) {
      const name = stage.name("lock");
      const [one, two] = [await stage.open(), await stage.open()];
      const readers = await Promise.all(
        [one, one, two].map((coord) => coord.lock(name).acquire({ mode: "shared" })),
      );
      assert.equal(await one.lock(name).break(), true);
      const writer = await one.lock(name).tryAcquire();
      assert.ok(writer, "when break() has resolved, the lock can be taken");
      for (const reader of readers) {
        assert.ok(await aborted(reader.signal) instanceof LockBrokenError);
        assert.equal(await reader.release(), false);
        assert.ok(writer.token > reader.token);
      }
      assert.equal(await writer.isHeld(), true);
    },
  },
  {
    name: "break() of one's own lock lets one's own next caller in",
    holds: ["L21", "L22"],
    async run(stage) {
      const [one, name] = [await stage.open(), stage.name("lock")];
      const old = await one.lock(name).acquire();
      const next = one.lock(name).acquire();
      await stage.queued(name, 1);
      assert.equal(await one.lock(name).break(), true);
      const lease = await within(next, "the next caller holds");
      assert.ok(await aborted(old.signal) instanceof LockBrokenError);
      assert.equal(await lease.isHeld(), true);
    },
  },
  {
    name: "break() again and again: every holder is told, and no later one is harmed",
    holds: ["L21", "L22", "L23"],
    async run(stage) {
      const name = stage.name("lock");
      const [one, two] = [await stage.open(), await stage.open()];
      let last = 0n;
      for (let i = 0; i < 5; i++) {
        const lease = await within((i % 2 ? one : two).lock(name).acquire(), "the lock can be taken");
        assert.ok(lease.token > last, `${lease.token} after ${last}`);
        last = lease.token;
        assert.equal(await one.lock(name).break(), true);
        assert.ok(await aborted(lease.signal) instanceof LockBrokenError);
      }
      const lease = await one.lock(name).acquire();
      assert.equal(await two.lock(name).tryAcquire(), undefined);
      assert.equal(await lease.release(), true);
    },
  },
  {
    name: "break() reaches a holder in another process, and lets in a waiter of a third",
    holds: ["L22", "L23", "LE13"],
    needs: ["processes"],
    async run(stage) {
      const calm = { ttl: 10_000 };
      const [one, name] = [await stage.open(calm), stage.name("lock")];
      const [holder, waiter] = [await stage.worker(undefined, calm), await stage.worker(undefined, calm)];
      const old = await holder.acquire(name);
      const next = waiter.acquire(name);
      await stage.queued(name, 1);
      assert.equal(await one.lock(name).break(), true);
      assert.equal((await within(old.lost(), "the holder is told")).name, "LockBrokenError");
      const lease = await within(next, "the waiter holds");
      assert.ok(lease.token > old.token, `${lease.token} after ${old.token}`);
      assert.deepEqual([await old.release(), await lease.isHeld()], [false, true]);
    },
  },
];
