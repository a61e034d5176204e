import assert from "node:assert/strict";
import { AcquireTimeoutError, ClosedError, LockLostError } from "../../../mod.ts";
import type { Case } from "../suite.ts";
import { aborted, after, failure, within } from "../waiting.ts";

export const campaigns: readonly Case[] = [
  {
    name: "campaign() elects one; the next is elected when that resigns, with a greater token",
    holds: ["E2", "E5", "E7", "E10", "E12", "E16"],
    smoke: true,
    async run(stage) {
      const id = stage.name("election");
      const [one, two] = [await stage.open(), await stage.open()];
      assert.equal(await one.election(id).leader(), undefined);
      const first = await one.election(id).campaign({ value: "é 10.0.0.1:80 😀" });
      const seen = await two.election(id).leader();
      assert.deepEqual(seen, { memberId: one.memberId, token: first.token, value: "é 10.0.0.1:80 😀" });
      const waiting = two.election(id).campaign();
      assert.equal(await after(100, waiting), "pending");
      assert.equal(await first.resign(), true);
      const second = await within(waiting, "the next is elected");
      assert.ok(second.token > first.token);
      assert.deepEqual(await one.election(id).leader(), {
        memberId: two.memberId,
        token: second.token,
        value: "",
      });
      assert.equal(await second.resign(), true);
      assert.equal(await one.election(id).leader(), undefined);
    },
  },
  {
    name: "a leadership is a lease: of its election, held, certain for a while, given back once",
    holds: ["E11", "E12", "LE4", "LE5"],
    async run(stage) {
      const id = stage.name("election");
      const coord = await stage.open();
      const leadership = await coord.election(id).campaign();
      assert.deepEqual([leadership.name, leadership.mode, leadership.signal.aborted], [
        id,
        "exclusive",
        false,
      ]);
      assert.ok(leadership.token >= 1n && leadership.token < 2n ** 63n);
      assert.ok(leadership.remaining() > 0);
      assert.equal(await leadership.isHeld(), true);
      assert.equal(await leadership.release(), true);
      assert.equal(await leadership.resign(), false);
      assert.equal(await leadership.isHeld(), false);
      await coord.heartbeat();
      assert.equal(leadership.signal.aborted, false, "resigning is no loss");
    },
  },
  {
    name: "a leadership's disposal resigns",
    holds: ["E11", "LE16"],
    async run(stage) {
      const id = stage.name("election");
      const coord = await stage.open();
      {
        await using _leadership = await coord.election(id).campaign();
      }
      assert.equal(await coord.election(id).leader(), undefined);
    },
  },
  {
    name: "a leadership is lost with its session",
    holds: ["E11", "S7"],
    async run(stage) {
      const id = stage.name("election");
      const [one, two] = [await stage.open({ heartbeat: "manual" }), await stage.open()];
      const leadership = await one.election(id).campaign();
      const reason = await aborted(leadership.signal, "the leadership is lost");
      assert.ok(reason instanceof LockLostError, String(reason));
      assert.throws(() => leadership.remaining(), LockLostError);
      assert.equal(await leadership.resign(), false);
      const second = await within(two.election(id).campaign(), "the next is elected");
      assert.ok(second.token > leadership.token);
    },
  },
  {
    name: "tryCampaign() is elected at once or not at all",
    holds: ["E3"],
    async run(stage) {
      const id = stage.name("election");
      const [one, two] = [await stage.open(), await stage.open()];
      const leadership = await one.election(id).tryCampaign({ value: "one" });
      assert.ok(leadership);
      assert.equal(await two.election(id).tryCampaign({ value: "two" }), undefined);
      assert.equal(await one.election(id).tryCampaign(), undefined);
      assert.equal((await two.election(id).leader())?.value, "one");
      await leadership.resign();
      const second = await two.election(id).tryCampaign({ value: "two" });
      assert.ok(second && second.token > leadership.token);
    },
  },
  {
    name: "campaign() that runs out of time says who leads, and leaves no trace",
    holds: ["E9", "L9", "L11"],
    async run(stage) {
      const id = stage.name("election");
      const [one, two] = [await stage.open(), await stage.open()];
      const leadership = await one.election(id).campaign();
      for (const timeout of [0, 50]) {
        const error = await failure(within(two.election(id).campaign({ timeout }), "the campaign ends"));
        assert.ok(error instanceof AcquireTimeoutError, String(error));
        assert.match(error.message, new RegExp(`"${one.memberId}"`));
      }
      await stage.eventually(async () => (await stage.entries(id, "election")).length === 1);
      await leadership.resign();
      const again = await two.election(id).tryCampaign();
      assert.ok(again);
      for (const timeout of [-1, NaN, Infinity]) {
        assert.ok(await failure(two.election(id).campaign({ timeout })) instanceof RangeError);
      }
    },
  },
  {
    name: "campaign() that is aborted rejects with the reason, and leaves no trace",
    holds: ["E8", "R4"],
    async run(stage) {
      const id = stage.name("election");
      const [one, two] = [await stage.open(), await stage.open()];
      const leadership = await one.election(id).campaign();
      const controller = new AbortController();
      const failed = failure(two.election(id).campaign({ signal: controller.signal }));
      await stage.eventually(async () => (await stage.entries(id, "election")).length === 2);
      const reason = { why: "enough" };
      controller.abort(reason);
      assert.equal(await within(failed, "the campaign rejects"), reason);
      await stage.eventually(async () => (await stage.entries(id, "election")).length === 1);
      const { signal } = controller;
      assert.equal(await failure(two.election(id).tryCampaign({ signal })), reason);
      await leadership.resign();
      assert.equal(await one.election(id).leader(), undefined);
    },
  },
  {
    name: "proclaim() replaces the value that others see, until the leadership is over",
    holds: ["E13", "E14"],
    async run(stage) {
      const id = stage.name("election");
      const [one, two] = [await stage.open(), await stage.open()];
      const leadership = await one.election(id).campaign({ value: "first" });
      for (const value of ["second", "", 'é 😀 \u0000 " \\ \n', "x".repeat(50_000)]) {
        await leadership.proclaim(value);
        assert.deepEqual(await two.election(id).leader(), {
          memberId: one.memberId,
          token: leadership.token,
          value,
        });
      }
      await leadership.resign();
      assert.ok(await failure(leadership.proclaim("late")) instanceof LockLostError);
      const next = await two.election(id).campaign({ value: "next" });
      assert.ok(await failure(leadership.proclaim("late")) instanceof LockLostError);
      assert.equal((await one.election(id).leader())?.value, "next");
      assert.equal(await next.resign(), true);
    },
  },
  {
    name: "a value that is no well-formed string is a TypeError",
    holds: ["R3", "E7"],
    async run(stage) {
      const coord = await stage.open();
      const election = coord.election(stage.name("election"));
      for (const value of ["\ud83d", 7, null] as string[]) {
        assert.ok(await failure(election.campaign({ value })) instanceof TypeError);
      }
      const leadership = await election.campaign();
      assert.ok(await failure(leadership.proclaim("\ude00")) instanceof TypeError);
      assert.equal(await leadership.isHeld(), true);
    },
  },
  {
    name: "an election and a lock of one name never meet",
    holds: ["E1"],
    async run(stage) {
      const name = stage.name("both");
      const [one, two] = [await stage.open(), await stage.open()];
      await using lease = await one.lock(name).acquire();
      const leadership = await two.election(name).tryCampaign({ value: "two" });
      assert.ok(leadership);
      assert.equal((await one.election(name).leader())?.memberId, two.memberId);
      assert.deepEqual((await two.lock(name).holders()).map(({ memberId }) => memberId), [one.memberId]);
      assert.equal(await one.lock(name).break(), true);
      assert.equal(await leadership.isHeld(), true);
      assert.equal(await lease.isHeld(), false);
      await one.group(name).create();
      assert.equal(await leadership.isHeld(), true);
      await one.close();
      assert.equal(leadership.signal.aborted, false);
    },
  },
  {
    name: "close() ends leaderships and campaigns with ClosedError",
    holds: ["S11", "S12"],
    async run(stage) {
      const id = stage.name("election");
      const [one, two] = [await stage.open(), await stage.open()];
      const leadership = await one.election(id).campaign();
      const failed = failure(two.election(id).campaign());
      await stage.eventually(async () => (await stage.entries(id, "election")).length === 2);
      await two.close();
      assert.ok(await within(failed, "the campaign rejects") instanceof ClosedError);
      await one.close();
      assert.ok(leadership.signal.reason instanceof ClosedError);
      assert.ok(await failure(one.election(id).campaign()) instanceof ClosedError);
    },
  },
];
