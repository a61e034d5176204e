import assert from "node:assert/strict";
import { RUNTIMES } from "../../processes/runtimes.ts";
import { iterate, until, word } from "../reading.ts";
import type { Case } from "../suite.ts";

/** For a machine that is busy, in ms. */
const SLACK = 4_000;

/** Longer than any case lasts: whoever is gone before it was not waited out. */
const LONG = 60_000;

export const deaths: readonly Case[] = [
  {
    name: "a member whose process is killed leaves within its ttl, whatever its runtime, and watchers see it",
    holds: ["G20", "C10"],
    smoke: true,
    needs: ["processes"],
    async run(stage) {
      const id = stage.name("group");
      const observer = await stage.open();
      await observer.group(id).create();
      await using watch = await observer.group(id).watch();
      const events = iterate(watch);
      for (const runtime of RUNTIMES) {
        const member = await stage.worker(runtime);
        await member.join(id, { runtime });
        await until(
          events,
          (event) => word(event) === `joined ${member.memberId}`,
          "the member is seen to join",
        );
        const start = performance.now();
        await member.kill();
        await until(
          events,
          (event) => word(event) === `left ${member.memberId}`,
          "the member is seen to leave",
        );
        const took = performance.now() - start;
        assert.ok(took < stage.lingers + SLACK, `it took ${took} ms on ${runtime}`);
        assert.equal((await observer.group(id).members()).size, 0);
      }
    },
  },
  {
    name: "what a member has updated, and a leader proclaimed, goes with its session",
    holds: ["G20", "C10"],
    needs: ["line", "expiry"],
    async run(stage) {
      const [id, line, observer] = [stage.name("group"), await stage.line(), await stage.open({ ttl: LONG })];
      const member = await line.open();
      const membership = await member.group(id).join({ a: 1 }, { create: true });
      await membership.update({ a: 2 });
      const leadership = await member.election(id).campaign({ value: "first" });
      await leadership.proclaim("second");
      assert.equal((await observer.election(id).leader())?.value, "second");
      line.sever();
      await stage.eventually(
        async () => (await observer.group(id).members()).size === 0,
        stage.lingers + SLACK,
      );
      await stage.eventually(async () => await observer.election(id).leader() === undefined, SLACK);
    },
  },
  {
    name: "a member whose process is killed leaves at once, without a time-out",
    holds: ["G20", "X13"],
    needs: ["processes", "CRASH_RELEASE"],
    async run(stage) {
      const id = stage.name("group");
      const observer = await stage.open({ ttl: LONG });
      await observer.group(id).create();
      await using watch = await observer.group(id).watch();
      const events = iterate(watch);
      const member = await stage.worker(undefined, { ttl: LONG });
      await member.join(id);
      await until(
        events,
        (event) => word(event) === `joined ${member.memberId}`,
        "the member is seen to join",
      );
      await member.kill();
      // The kernel closes its connections a moment after its end.
      await stage.eventually(async () => (await observer.group(id).members()).size === 0, SLACK);
      await until(
        events,
        (event) => word(event) === `left ${member.memberId}`,
        "the member is seen to leave",
      );
      await observer.group(id).delete();
    },
  },
  {
    name: "the id of a dead member can be joined by another coordinator, without replace",
    holds: ["G17", "G20"],
    needs: ["processes"],
    async run(stage) {
      const [id, memberId] = [stage.name("group"), stage.name("member")];
      const member = await stage.worker(undefined, { memberId });
      await member.join(id, { n: 1 }, { create: true });
      await member.kill();
      const coord = await stage.open({ memberId });
      await stage.eventually(() => coord.group(id).join({ n: 2 }));
      assert.deepEqual((await coord.group(id).member(memberId)).capabilities, { n: 2 });
    },
  },
  {
    name: "a member that was cut off leaves within its ttl, and its signal fires",
    holds: ["G20", "G11", "LE10"],
    needs: ["line", "expiry"],
    async run(stage) {
      const id = stage.name("group");
      const line = await stage.line();
      const [observer, member] = [await stage.open({ ttl: LONG }), await line.open()];
      const joined = await member.group(id).join({}, { create: true });
      await using watch = await observer.group(id).watch();
      const start = performance.now();
      line.sever();
      await until(
        iterate(watch),
        (event) => word(event) === `left ${member.memberId}`,
        "it is seen to leave",
      );
      assert.equal(joined.signal.aborted, true, "the member knew before everybody else");
      const took = performance.now() - start;
      assert.ok(took < stage.lingers + SLACK, `it took ${took} ms`);
      line.heal();
      await stage.eventually(() => member.group(id).join({ again: true }));
      assert.equal((await observer.group(id).members()).size, 1);
    },
  },
];
