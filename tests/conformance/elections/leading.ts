import assert from "node:assert/strict";
import type { Leadership } from "../../../core/api/election.ts";
import type { Case } from "../suite.ts";
import { aborted, after, failure, within } from "../waiting.ts";

export const leading: readonly Case[] = [
  {
    name: "lead() campaigns, runs its function as the leader, and resigns",
    holds: ["E4"],
    smoke: true,
    async run(stage) {
      const id = stage.name("election");
      const [one, two] = [await stage.open(), await stage.open()];
      let seen: unknown;
      await one.election(id).lead(async (leadership) => {
        seen = await two.election(id).leader();
        assert.equal(leadership.signal.aborted, false);
      }, { value: "one" });
      assert.equal((seen as { value: string }).value, "one");
      assert.equal(await two.election(id).leader(), undefined);
    },
  },
  {
    name: "lead() rejects with what its function throws, and resigns",
    holds: ["E4"],
    async run(stage) {
      const election = (await stage.open()).election(stage.name("election"));
      const wrong = new Error("wrong");
      assert.equal(await failure(election.lead(() => Promise.reject(wrong))), wrong);
      assert.equal(await election.leader(), undefined);
    },
  },
  {
    name: "lead() that is aborted awaits its function, and only then gives the leadership back",
    holds: ["E17", "E4", "R4"],
    async run(stage) {
      const id = stage.name("election");
      const [one, two] = [await stage.open({ ttl: 30_000 }), await stage.open({ ttl: 30_000 })];
      const [controller, started] = [new AbortController(), Promise.withResolvers<Leadership>()];
      const finish = Promise.withResolvers<void>();
      const failed = failure(
        one.election(id).lead(async (leadership) => {
          started.resolve(leadership);
          await finish.promise;
        }, { signal: controller.signal }),
      );
      const leadership = await within(started.promise, "it leads");
      const next = two.election(id).campaign();
      const reason = new Error("stop");
      controller.abort(reason);
      assert.equal(await aborted(leadership.signal, "the leadership's signal fires"), reason);
      assert.equal(await after(300, next), "pending", "the function still runs");
      assert.equal(await two.election(id).tryCampaign(), undefined);
      finish.resolve();
      assert.equal(await within(failed, "lead() rejects"), reason);
      assert.ok((await within(next, "the next is elected")).token > leadership.token);
    },
  },
  {
    name: "lead() that is aborted while it waits rejects with the reason",
    holds: ["E4", "E8"],
    async run(stage) {
      const id = stage.name("election");
      const [one, two] = [await stage.open(), await stage.open()];
      await using _leadership = await one.election(id).campaign();
      const controller = new AbortController();
      let runs = 0;
      const failed = failure(
        two.election(id).lead(() => Promise.resolve(void runs++), { signal: controller.signal }),
      );
      await stage.eventually(async () => (await stage.entries(id, "election")).length === 2);
      controller.abort("stop");
      assert.equal(await within(failed, "lead() rejects"), "stop");
      assert.equal(runs, 0);
      await stage.eventually(async () => (await stage.entries(id, "election")).length === 1);
    },
  },
  {
    name: "lead() campaigns again after a loss, and never runs its function twice at a time",
    holds: ["E4", "S6", "E16"],
    async run(stage) {
      const id = stage.name("election");
      const coord = await stage.open({ heartbeat: "manual" });
      const [controller, tokens, running] = [new AbortController(), [] as bigint[], { now: 0, most: 0 }];
      const failed = failure(
        coord.election(id).lead(async (leadership) => {
          running.most = Math.max(running.most, ++running.now);
          tokens.push(leadership.token);
          if (tokens.length === 3) controller.abort("enough");
          await aborted(leadership.signal, "the leadership is lost");
          running.now--;
          if (tokens.length < 3) throw new Error("what a function says whose leadership was lost");
        }, { signal: controller.signal }),
      );
      assert.equal(await within(failed, "lead() has led three times", 30_000), "enough");
      assert.equal(tokens.length, 3);
      assert.deepEqual(tokens, [...tokens].sort((a, b) => (a < b ? -1 : 1)));
      assert.equal(running.most, 1);
      // The session that is asked is lost as well before long: nobody renews it.
      await stage.eventually(async () => await coord.election(id).leader() === undefined);
    },
  },
  {
    name: "lead() stands again when its session is lost while it waits",
    holds: ["E4", "S6"],
    async run(stage) {
      const id = stage.name("election");
      const [one, two] = [await stage.open(), await stage.open({ heartbeat: "manual" })];
      const first = await one.election(id).campaign();
      const led = Promise.withResolvers<bigint>();
      const leading = two.election(id).lead(({ token }) => Promise.resolve(led.resolve(token)));
      leading.catch((error) => led.reject(error));
      led.promise.catch(() => {}); // It is looked at below.
      await stage.eventually(async () => (await stage.entries(id, "election")).length === 2);
      await aborted(two.session.signal, "the session is lost");
      await first.resign();
      assert.ok(await within(led.promise, "it leads") > first.token);
      await within(leading, "lead() ends");
    },
  },
  {
    name: "lead() ends when its coordinator closes",
    holds: ["S11", "S12", "E4"],
    async run(stage) {
      const id = stage.name("election");
      const coord = await stage.open();
      const started = Promise.withResolvers<void>();
      const failed = failure(
        coord.election(id).lead(async (leadership) => {
          started.resolve();
          await aborted(leadership.signal);
        }),
      );
      await within(started.promise, "it leads");
      await coord.close({ grace: 5_000 });
      const error = await within(failed, "lead() ends");
      assert.ok(
        error === undefined || (error instanceof Error && error.name === "ClosedError"),
        String(error),
      );
    },
  },
];
