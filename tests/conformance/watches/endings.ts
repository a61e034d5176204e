import assert from "node:assert/strict";
import type { Coordinator } from "../../../core/api/coordinator.ts";
import { ClosedError } from "../../../mod.ts";
import { ended, iterate, next, word } from "../reading.ts";
import type { Case } from "../suite.ts";
import { failure, within } from "../waiting.ts";

/** A watch of a group, and one of an election, each with a read that waits. */
async function waitingWatches(coord: Coordinator, id: string, signal?: AbortSignal) {
  const options = signal ? { signal } : {};
  const watches = [await coord.group(id).watch(options), await coord.election(id).watch(options)] as const;
  const iterators = watches.map((watch) => iterate<unknown>(watch));
  return { watches, iterators, reads: iterators.map((iterator) => iterator.next()) };
}

export const endings: readonly Case[] = [
  {
    name: "a watch reports the deletion of its group and ends",
    holds: ["W10"],
    async run(stage) {
      const id = stage.name("group");
      const [one, two] = [await stage.open(), await stage.open()];
      await one.group(id).create();
      await using watch = await two.group(id).watch();
      const events = iterate(watch);
      const joined = await one.group(id).join();
      assert.equal(word(await next(events, "the join is seen")), `joined ${one.memberId}`);
      await joined.leave();
      await one.group(id).delete();
      assert.equal(word(await next(events, "the leaving is seen")), `left ${one.memberId}`);
      assert.equal(word(await next(events, "the deletion is seen")), "deleted");
      await ended(events);
      await one.group(id).create();
      await ended(events);
    },
  },
  {
    name: "a watch that is disposed of ends, also in the middle of a read",
    holds: ["W10"],
    smoke: true,
    async run(stage) {
      const [coord, id] = [await stage.open(), stage.name("group")];
      await coord.group(id).create();
      const { watches, iterators, reads } = await waitingWatches(coord, id);
      for (const watch of watches) {
        await within(Promise.resolve(watch[Symbol.asyncDispose]()), "the watch is disposed of");
      }
      for (const read of reads) assert.equal((await within(read, "the read returns")).done, true);
      for (const iterator of iterators) await ended(iterator);
      for (const watch of watches) await watch[Symbol.asyncDispose]();
    },
  },
  {
    name: "a watch ends when its signal aborts, without throwing",
    holds: ["W10"],
    async run(stage) {
      const [coord, id] = [await stage.open(), stage.name("group")];
      await coord.group(id).create();
      const controller = new AbortController();
      const { watches, iterators, reads } = await waitingWatches(coord, id, controller.signal);
      controller.abort(new Error("enough"));
      for (const read of reads) assert.equal((await within(read, "the read returns")).done, true);
      for (const iterator of iterators) await ended(iterator);
      for (const watch of watches) await watch[Symbol.asyncDispose]();
    },
  },
  {
    name: "a watch ends with its coordinator, without throwing",
    holds: ["W10", "S11"],
    async run(stage) {
      const [coord, id] = [await stage.open(), stage.name("group")];
      await coord.group(id).create();
      const { watches, reads } = await waitingWatches(coord, id);
      await coord.close();
      for (const read of reads) assert.equal((await within(read, "the read returns")).done, true);
      for (const watch of watches) await watch[Symbol.asyncDispose]();
      assert.ok(await failure(coord.group(id).watch()) instanceof ClosedError);
      assert.ok(await failure(coord.election(id).watch()) instanceof ClosedError);
    },
  },
  {
    name: "leaving the loop ends a watch",
    holds: ["W10"],
    async run(stage) {
      const [coord, id] = [await stage.open(), stage.name("group")];
      await coord.group(id).create();
      const watch = await coord.group(id).watch();
      await coord.group(id).join();
      for await (const event of watch) {
        assert.equal(event.type, "joined");
        break;
      }
      assert.throws(() => iterate(watch), TypeError);
      await watch[Symbol.asyncDispose]();
    },
  },
  {
    name: "watch() with a signal that has aborted rejects with its reason",
    holds: ["R4", "W1", "E6"],
    async run(stage) {
      const [coord, id] = [await stage.open(), stage.name("group")];
      await coord.group(id).create();
      const reason = { why: "enough" };
      const signal = AbortSignal.abort(reason);
      assert.equal(await failure(coord.group(id).watch({ signal })), reason);
      assert.equal(await failure(coord.election(id).watch({ signal })), reason);
    },
  },
  {
    name: "a watch has one iterator",
    holds: ["W11"],
    async run(stage) {
      const [coord, id] = [await stage.open(), stage.name("group")];
      await coord.group(id).create();
      const { watches } = await waitingWatches(coord, id);
      for (const watch of watches) assert.throws(() => iterate<unknown>(watch), TypeError);
      for (const watch of watches) await watch[Symbol.asyncDispose]();
    },
  },
];
