import assert from "node:assert/strict";
import { AcquireTimeoutError } from "../../../mod.ts";
import type { Case } from "../suite.ts";
import { after, failure, within } from "../waiting.ts";

/** How long it is watched that something does not happen, in ms. */
const QUIET = 300;

export const givingUp: readonly Case[] = [
  {
    name: "acquire() leaves no trace when its time runs out",
    holds: ["L12", "L14"],
    smoke: true,
    async run(stage) {
      const name = stage.name("lock");
      const [one, two, three] = [await stage.open(), await stage.open(), await stage.open()];
      const lease = await one.lock(name).acquire();
      await assert.rejects(
        within(two.lock(name).acquire({ timeout: 200 }), "the time runs out"),
        AcquireTimeoutError,
      );
      await stage.queued(name, 0);
      await lease.release();
      const next = await three.lock(name).tryAcquire();
      assert.ok(next, "nobody is in the way");
    },
  },
  {
    name: "acquire() rejects with signal.reason itself, and leaves no queue entry",
    holds: ["L8", "L13", "L14", "R4"],
    smoke: true,
    async run(stage) {
      const name = stage.name("lock");
      const [one, two] = [await stage.open(), await stage.open()];
      const lease = await one.lock(name).acquire();
      for (const reason of [new Error("enough"), { any: "value" }, "a word", 7]) {
        const giveUp = new AbortController();
        const failed = failure(two.lock(name).acquire({ signal: giveUp.signal }));
        await stage.queued(name, 1);
        giveUp.abort(reason);
        assert.strictEqual(await within(failed, "the wait ends"), reason);
      }
      await stage.queued(name, 0);
      assert.equal(await lease.isHeld(), true);
    },
  },
  {
    name: "acquire() with an aborted signal does nothing",
    holds: ["L13"],
    async run(stage) {
      const name = stage.name("lock");
      const one = await stage.open();
      const reason = new Error("before");
      const signal = AbortSignal.abort(reason);
      assert.strictEqual(await failure(one.lock(name).acquire({ signal })), reason);
      assert.strictEqual(await failure(one.lock(name).tryAcquire({ signal })), reason);
      assert.strictEqual(
        await failure(one.lock(name).use(() => assert.fail("it must not run"), { signal })),
        reason,
      );
      assert.deepEqual(await stage.entries(name), []);
    },
  },
  {
    name: "acquire() waits on for the holder when the one before it gives up",
    holds: ["L6", "L14", "L16"],
    async run(stage) {
      const name = stage.name("lock");
      const [one, two, three] = [await stage.open(), await stage.open(), await stage.open()];
      const lease = await one.lock(name).acquire();
      const giveUp = new AbortController();
      const failed = failure(two.lock(name).acquire({ signal: giveUp.signal }));
      await stage.queued(name, 1);
      const waiting = three.lock(name).acquire();
      await stage.queued(name, 2);
      giveUp.abort("enough");
      await within(failed, "the wait ends");
      await stage.queued(name, 1);
      assert.equal(await after(QUIET, waiting), "pending");
      await lease.release();
      assert.ok((await within(waiting, "the lock is handed over")).token > lease.token);
    },
  },
  {
    name: "acquire() that is aborted at the head of the line lets the next in",
    holds: ["L14"],
    needs: ["FAIR"],
    async run(stage) {
      const name = stage.name("lock");
      const [one, two, three] = [await stage.open(), await stage.open(), await stage.open()];
      const lease = await one.lock(name).acquire();
      const giveUp = new AbortController();
      const failed = failure(two.lock(name).acquire({ signal: giveUp.signal }));
      await stage.queued(name, 1);
      const next = three.lock(name).acquire();
      await stage.queued(name, 2);
      giveUp.abort();
      assert.ok(await within(failed, "the wait ends"));
      await lease.release();
      assert.equal(await (await within(next, "the next holds the lock")).isHeld(), true);
    },
  },
  {
    name: "acquire() of a writer that is aborted lets in the readers behind it",
    holds: ["L14"],
    needs: ["FAIR"],
    async run(stage) {
      const name = stage.name("lock");
      // So long that whoever is let in was woken.
      const open = () => stage.open({ ttl: 90_000 });
      const [one, two, three] = [await open(), await open(), await open()];
      const reader = await one.lock(name).acquire({ mode: "shared" });
      const giveUp = new AbortController();
      const failed = failure(two.lock(name).acquire({ signal: giveUp.signal }));
      await stage.queued(name, 1);
      const behind = three.lock(name).acquire({ mode: "shared" });
      await stage.queued(name, 2);
      giveUp.abort();
      await failed;
      assert.equal(await (await within(behind, "the reader behind holds too")).isHeld(), true);
      assert.equal(await reader.isHeld(), true);
    },
  },
  {
    name: "acquire() that is aborted while it is granted leaves the lock to the next",
    holds: ["L14"],
    smoke: true,
    async run(stage) {
      const options = { ttl: 10_000 };
      const [one, two, three] = [
        await stage.open(options),
        await stage.open(options),
        await stage.open(options),
      ];
      for (let i = 0; i < 30; i++) {
        const name = stage.name("lock");
        const lease = await one.lock(name).acquire();
        const giveUp = new AbortController();
        const waiting = two.lock(name).acquire({ signal: giveUp.signal });
        const failed = failure(waiting);
        await stage.queued(name, 1);
        const released = lease.release();
        // Now, in a moment, or when the grant may be on its way.
        if (i % 3 === 1) await Promise.resolve();
        if (i % 3 === 2) await stage.entries(name);
        giveUp.abort();
        await released;
        if (await failed === undefined) await (await waiting).release();
        const next = await within(three.lock(name).acquire(), "the next holds the lock");
        assert.equal(await next.isHeld(), true);
        assert.deepEqual((await stage.entries(name)).map(({ memberId }) => memberId), [three.memberId]);
        await next.release();
      }
    },
  },
  {
    name: "acquire() that is aborted disappears from the line of its own coordinator",
    holds: ["L14", "L17"],
    async run(stage) {
      const name = stage.name("lock");
      const one = await stage.open();
      const lock = one.lock(name);
      const lease = await lock.acquire();
      const order: string[] = [];
      const wait = (word: string, signal?: AbortSignal) =>
        lock.use(() => void order.push(word), signal ? { signal } : {});
      const [first, last] = [new AbortController(), new AbortController()];
      const all = [
        failure(wait("first", first.signal)),
        failure(wait("second")),
        failure(wait("third", last.signal)),
        failure(wait("fourth")),
      ];
      await stage.queued(name, 1);
      first.abort("first");
      last.abort("third");
      await lease.release();
      assert.deepEqual(await within(Promise.all(all), "all have ended"), [
        "first",
        undefined,
        "third",
        undefined,
      ]);
      assert.deepEqual(order, ["second", "fourth"]);
      await stage.eventually(async () => (await stage.entries(name)).length === 0);
    },
  },
  {
    name: "acquire() of one reader that is aborted keeps the place of those that wait with it",
    holds: ["L14"],
    async run(stage) {
      const name = stage.name("lock");
      const [one, two] = [await stage.open(), await stage.open()];
      const lease = await one.lock(name).acquire();
      const giveUp = new AbortController();
      const failed = failure(two.lock(name).acquire({ mode: "shared", signal: giveUp.signal }));
      const other = two.lock(name).acquire({ mode: "shared" });
      await stage.queued(name, 1);
      giveUp.abort("enough");
      assert.equal(await within(failed, "the wait ends"), "enough");
      await lease.release();
      const reader = await within(other, "the other reader holds the lock");
      assert.equal(await reader.release(), true);
      await stage.eventually(async () => (await stage.entries(name)).length === 0);
    },
  },
  {
    name: "acquire() that gives up while the backend is silent is gone within one ttl",
    holds: ["L14", "L15", "L12"],
    needs: ["line"],
    async run(stage) {
      const [name, other] = [stage.name("lock"), stage.name("other")];
      const line = await stage.line();
      const calm = { ttl: 20_000 };
      const [one, two, three] = [
        await stage.open(calm),
        await line.open({ ttl: 4_000 }),
        await stage.open(calm),
      ];
      const lease = await one.lock(name).acquire();
      const held = await two.lock(other).acquire();
      const giveUp = new AbortController();
      const failed = failure(two.lock(name).acquire({ signal: giveUp.signal }));
      await stage.queued(name, 1);
      line.sever();
      giveUp.abort("enough");
      assert.equal(await within(failed, "the wait ends although nobody answers"), "enough");
      line.heal();
      await stage.queued(name, 0);
      await lease.release();
      assert.ok(await within(three.lock(name).acquire(), "the next holds the lock"));
      assert.ok(held.signal.aborted || await stage.eventually(() => held.signal.aborted || held.isHeld()));
    },
  },
  {
    name: "acquire() that gives up on a silent backend is gone although the backend stays silent",
    holds: ["L15", "C10"],
    needs: ["line", "expiry"],
    async run(stage) {
      const name = stage.name("lock");
      const line = await stage.line();
      const calm = { ttl: 20_000 };
      const [one, two, three] = [await stage.open(calm), await line.open(), await stage.open(calm)];
      const lease = await one.lock(name).acquire();
      const failed = failure(two.lock(name).acquire({ timeout: 700 }));
      await stage.queued(name, 1);
      line.sever();
      assert.ok(await within(failed, "the wait ends although nobody answers") instanceof Error);
      await lease.release();
      assert.ok(await within(three.lock(name).acquire(), "the next holds the lock"));
    },
  },
];
