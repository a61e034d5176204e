import assert from "node:assert/strict";
import type { Lease } from "../../../core/api/lock.ts";
import { iterate, next } from "../reading.ts";
import type { Case } from "../suite.ts";
import { within } from "../waiting.ts";

const ROUNDS = 25;

/** A poller that could keep to this would have a machine busy with nothing else; in ms. */
const AT_ONCE = 40;

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN;
}

export const pushes: readonly Case[] = [
  {
    name: "watches hear of a change at once",
    holds: ["W7", "X12"],
    needs: ["PUSHED_WATCHES"],
    alone: true,
    async run(stage) {
      const id = stage.name("group");
      const [one, observer] = [await stage.open({ ttl: 60_000 }), await stage.open({ ttl: 60_000 })];
      const [joined, leadership] = [
        await one.group<number>(id).join(0, { create: true }),
        await one.election(id).campaign(),
      ];
      await using watch = await observer.group<number>(id).watch();
      await using leaders = await observer.election(id).watch();
      const [events, leaderships] = [iterate(watch), iterate(leaders)];
      const [heard, told]: [number[], number[]] = [[], []];
      for (let i = 1; i <= ROUNDS; i++) {
        const start = performance.now();
        await Promise.all([joined.update(i), next(events, "the update is seen")]);
        heard.push(performance.now() - start);
        const again = performance.now();
        await Promise.all([leadership.proclaim(`${i}`), next(leaderships, "the value is seen")]);
        told.push(performance.now() - again);
      }
      assert.ok(median(heard) < AT_ONCE && median(told) < AT_ONCE, `${median(heard)} and ${median(told)} ms`);
    },
  },
  {
    name: "waiters get a lock at once when it is released",
    holds: ["X12"],
    needs: ["PUSHED_LOCKS"],
    alone: true,
    async run(stage) {
      const name = stage.name("lock");
      const [one, two] = [await stage.open({ ttl: 60_000 }), await stage.open({ ttl: 60_000 })];
      const took: number[] = [];
      let lease: Lease = await one.lock(name).acquire();
      for (let i = 0; i < ROUNDS; i++) {
        const waiting = (i % 2 === 0 ? two : one).lock(name).acquire();
        await stage.queued(name, 1);
        const start = performance.now();
        await lease.release();
        lease = await within(waiting, "the waiter holds the lock");
        took.push(performance.now() - start);
      }
      assert.ok(median(took) < AT_ONCE, `${median(took)} ms`);
    },
  },
];
