import assert from "node:assert/strict";
import { AcquireTimeoutError, ConnectionError } from "../../../mod.ts";
import type { Case } from "../suite.ts";
import { failure, within } from "../waiting.ts";

export const tries: readonly Case[] = [
  {
    name: "tryAcquire() takes a free lock and does not wait for a busy one",
    holds: ["L2", "L7", "L6"],
    smoke: true,
    async run(stage) {
      const name = stage.name("lock");
      const [one, two] = [await stage.open(), await stage.open()];
      const lease = await one.lock(name).tryAcquire();
      assert.ok(lease);
      assert.deepEqual([lease.name, lease.mode, lease.signal.aborted], [name, "exclusive", false]);
      for (const coord of [one, two]) {
        assert.equal(await within(coord.lock(name).tryAcquire(), "the try ends"), undefined);
        assert.equal(
          await within(coord.lock(name).tryAcquire({ mode: "shared" }), "the try ends"),
          undefined,
        );
      }
      assert.equal(await lease.isHeld(), true);
      assert.equal((await stage.entries(name)).length, 1);
      await lease.release();
      assert.ok(await two.lock(name).tryAcquire());
    },
  },
  {
    name: "tryAcquire() never overtakes a waiter",
    holds: ["L2"],
    smoke: true,
    needs: ["FAIR"],
    async run(stage) {
      const name = stage.name("lock");
      const [one, two, three] = [await stage.open(), await stage.open(), await stage.open()];
      const reader = await one.lock(name).acquire({ mode: "shared" });
      const writer = two.lock(name).acquire();
      await stage.queued(name, 1);
      // Readers would fit beside the holder, but somebody waits.
      assert.equal(await three.lock(name).tryAcquire({ mode: "shared" }), undefined);
      await reader.release();
      const lease = await within(writer, "the waiter holds the lock");
      assert.equal(await three.lock(name).tryAcquire(), undefined);
      assert.equal(await lease.release(), true);
    },
  },
  {
    name: "tryAcquire() of a reader does not join its own coordinator's hold while somebody else waits",
    holds: ["L2"],
    needs: ["FAIR"],
    async run(stage) {
      const name = stage.name("lock");
      const [one, two] = [await stage.open(), await stage.open()];
      const reader = await one.lock(name).acquire({ mode: "shared" });
      const writer = two.lock(name).acquire();
      await stage.queued(name, 1);
      assert.ok(
        await one.lock(name).tryAcquire({ mode: "shared" }) === undefined,
        "the waiter was overtaken",
      );
      await reader.release();
      assert.equal(await (await within(writer, "the waiter holds the lock")).release(), true);
    },
  },
  {
    name: "tryAcquire() at the moment of a release goes behind who waits",
    holds: ["L2"],
    needs: ["FAIR"],
    async run(stage) {
      const options = { ttl: 10_000 };
      const [one, two, three] = [
        await stage.open(options),
        await stage.open(options),
        await stage.open(options),
      ];
      for (let i = 0; i < 10; i++) {
        const name = stage.name("lock");
        const lease = await one.lock(name).acquire();
        const waiting = two.lock(name).acquire();
        await stage.queued(name, 1);
        const [, tried] = await Promise.all([lease.release(), three.lock(name).tryAcquire()]);
        assert.equal(tried, undefined);
        assert.equal(await (await within(waiting, "the waiter holds the lock")).release(), true);
      }
    },
  },
  {
    name: "tryAcquire() does not overtake a waiter of its own coordinator",
    holds: ["L2"],
    async run(stage) {
      const name = stage.name("lock");
      const one = await stage.open();
      const reader = await one.lock(name).acquire({ mode: "shared" });
      const writer = one.lock(name).acquire();
      assert.equal(await one.lock(name).tryAcquire({ mode: "shared" }), undefined);
      await reader.release();
      const lease = await within(writer, "the waiter holds the lock");
      assert.equal(await one.lock(name).tryAcquire(), undefined);
      await lease.release();
      assert.ok(await one.lock(name).tryAcquire());
    },
  },
  {
    name: "acquire() with timeout 0 is one attempt",
    holds: ["L9", "L11", "L12"],
    async run(stage) {
      const name = stage.name("lock");
      const [one, two] = [await stage.open(), await stage.open()];
      const lease = await one.lock(name).acquire({ timeout: 0 });
      const error = await within(failure(two.lock(name).acquire({ timeout: 0 })), "the attempt ends");
      assert.ok(error instanceof AcquireTimeoutError, String(error));
      assert.match(error.message, new RegExp(one.memberId));
      assert.deepEqual([error.code, error.driver], ["ACQUIRE_TIMEOUT", stage.driver]);
      assert.equal((await stage.entries(name)).length, 1);
      await lease.release();
      assert.ok(await two.lock(name).acquire({ timeout: 0 }));
    },
  },
  {
    name: "acquire() is not re-entrant, and its time-out names the holder",
    holds: ["L10", "L11", "L12"],
    async run(stage) {
      const name = stage.name("lock");
      const [one, two] = [await stage.open(), await stage.open()];
      await using _lease = await one.lock(name).acquire();
      for (const coord of [one, two]) {
        const error = await within(failure(coord.lock(name).acquire({ timeout: 300 })), "the time runs out");
        assert.ok(error instanceof AcquireTimeoutError, String(error));
        assert.ok(error.message.includes(one.memberId), error.message);
      }
    },
  },
  {
    name: "acquire() tells its own hold from that of another with the same member id",
    holds: ["L11", "L12"],
    async run(stage) {
      const [name, memberId] = [stage.name("lock"), stage.name("member")];
      const [one, two] = [await stage.open({ memberId }), await stage.open({ memberId })];
      for (const mode of ["exclusive", "shared"] as const) {
        await using _lease = await one.lock(name).acquire({ mode });
        for (const [coord, isOwn] of [[one, true], [two, false]] as const) {
          const error = await failure(coord.lock(name).acquire({ timeout: 0 }));
          assert.ok(error instanceof AcquireTimeoutError, String(error));
          assert.ok(error.message.includes(memberId), error.message);
          assert.equal(error.message.includes("not re-entrant"), isOwn, error.message);
        }
      }
    },
  },
  {
    name: "acquire() refuses a timeout or a mode that cannot be",
    holds: ["L9", "L6"],
    async run(stage) {
      const lock = (await stage.open()).lock(stage.name("lock"));
      for (const timeout of [-1, NaN, Infinity]) await assert.rejects(lock.acquire({ timeout }), RangeError);
      const mode = "both" as "shared"; // As a program without types may do.
      await assert.rejects(lock.acquire({ mode }), TypeError);
      await assert.rejects(lock.tryAcquire({ mode }), TypeError);
      assert.ok(await lock.tryAcquire());
    },
  },
  {
    name: "tryAcquire() tells a backend that cannot be reached from a lock that is busy",
    holds: ["L2", "L12", "R6"],
    needs: ["line"],
    async run(stage) {
      const [line, name] = [await stage.line(), stage.name("lock")];
      const [one, two] = [await stage.open({ ttl: 20_000 }), await line.open({ ttl: 9_000 })];
      await using _lease = await one.lock(name).acquire();
      assert.equal(await two.lock(name).tryAcquire(), undefined);
      line.sever();
      await assert.rejects(within(two.lock(name).tryAcquire(), "the try ends"), ConnectionError);
      await assert.rejects(
        within(two.lock(name).acquire({ timeout: 200 }), "the time runs out"),
        ConnectionError,
      );
    },
  },
];
