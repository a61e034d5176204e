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

/** What is told at once: after the call that caused it, `AT_ONCE` beyond what a busy machine needs for the call. */
class Told {
  readonly #called: number[] = [];
  readonly #told: number[] = [];

  async measure(call: () => Promise<unknown>, told: Promise<unknown>): Promise<void> {
    const start = performance.now();
    const called = call().then(() => this.#called.push(performance.now() - start));
    await told;
    this.#told.push(performance.now() - start);
    await called;
  }

  assert(): void {
    const [called, told] = [median(this.#called), median(this.#told)];
    assert.ok(told < AT_ONCE + called, `told after ${told} ms, called for ${called} ms`);
  }
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
      const [updates, values] = [new Told(), new Told()];
      for (let i = 1; i <= ROUNDS; i++) {
        await updates.measure(() => joined.update(i), next(events, "the update is seen"));
        await values.measure(() => leadership.proclaim(`${i}`), next(leaderships, "the value is seen"));
      }
      updates.assert();
      values.assert();
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
      const grants = new Told();
      let lease: Lease = await one.lock(name).acquire();
      for (let i = 0; i < ROUNDS; i++) {
        const waiting = (i % 2 === 0 ? two : one).lock(name).acquire();
        await stage.queued(name, 1);
        const held = lease;
        await grants.measure(() => held.release(), within(waiting, "the waiter holds the lock"));
        lease = await waiting;
      }
      grants.assert();
    },
  },
];
