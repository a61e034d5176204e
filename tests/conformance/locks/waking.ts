import assert from "node:assert/strict";
import type { Case } from "../suite.ts";
import { elapse, failure, within } from "../waiting.ts";

/** Longer than any case lasts: who is let in before was woken. */
const LONG = 60_000;

export const waking: readonly Case[] = [
  {
    name: "acquire() of a writer is not starved by readers that keep coming to another coordinator",
    holds: ["L18"],
    needs: ["FAIR"],
    async run(stage) {
      const name = stage.name("lock");
      const [one, two] = [await stage.open(), await stage.open()];
      const [done, readers] = [new AbortController(), [] as Promise<unknown>[]];
      const read = async () => {
        const lease = await one.lock(name).acquire({ mode: "shared" });
        await elapse(150);
        await lease.release();
      };
      const keepComing = async () => {
        while (!done.signal.aborted) {
          readers.push(failure(read()));
          await elapse(50);
        }
      };
      const first = await one.lock(name).acquire({ mode: "shared" });
      const writer = two.lock(name).acquire();
      await stage.queued(name, 1);
      const coming = keepComing();
      await elapse(200);
      await first.release();
      const lease = await within(writer, "the writer holds the lock").finally(() => done.abort());
      await coming;
      assert.equal(await lease.release(), true);
      for (const error of await within(Promise.all(readers), "the readers are served")) {
        assert.equal(error, undefined);
      }
    },
  },
  {
    name: "break() lets a waiter in at once, however long the sessions live",
    holds: ["L21", "L22", "L23"],
    async run(stage) {
      const name = stage.name("lock");
      const coords = [await stage.open({ ttl: LONG }), await stage.open({ ttl: LONG })] as const;
      const [held, other] = [await coords[0].lock(name).acquire(), await stage.open({ ttl: LONG })];
      const waiting = coords[1].lock(name).acquire();
      await stage.queued(name, 1);
      assert.equal(await other.lock(name).break(), true);
      const lease = await within(waiting, "the waiter holds the lock");
      assert.ok(lease.token > held.token);
      assert.equal(await held.isHeld(), false);
    },
  },
];
