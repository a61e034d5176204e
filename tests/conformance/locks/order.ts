import assert from "node:assert/strict";
import type { Coordinator } from "../../../core/api/coordinator.ts";
import type { Case, Stage } from "../suite.ts";
import { within } from "../waiting.ts";

/** Takes turns as fast as it can until told to stop; returns how many it had. */
async function loop(
  coord: Coordinator,
  name: string,
  mode: "exclusive" | "shared",
  stop: AbortSignal,
): Promise<number> {
  let turns = 0;
  while (!stop.aborted) {
    await coord.lock(name).use(() => {}, { mode });
    turns++;
  }
  return turns;
}

/** Lets loops run until `done`, then stops them and waits for their end. */
async function beside<T>(
  loops: (stop: AbortSignal) => Promise<number>[],
  done: () => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const running = loops(stop.signal);
  try {
    const result = await done();
    stop.abort();
    for (const turns of await within(Promise.all(running), "the loops end")) assert.ok(turns > 0);
    return result;
  } finally {
    stop.abort();
    await Promise.allSettled(running);
  }
}

async function coordinators(stage: Stage, count: number): Promise<Coordinator[]> {
  return await Promise.all(Array.from({ length: count }, () => stage.open({ ttl: 10_000 })));
}

export const order: readonly Case[] = [
  {
    name: "acquire() serves coordinators in order of arrival",
    holds: ["L16", "X11"],
    needs: ["FAIR"],
    async run(stage) {
      const name = stage.name("lock");
      const [first, ...others] = await coordinators(stage, 6);
      const lease = await first?.lock(name).acquire();
      const served: number[] = [];
      const all: Promise<void>[] = [];
      for (const [i, coord] of others.entries()) {
        all.push(coord.lock(name).use(() => void served.push(i)));
        await stage.queued(name, i + 1);
      }
      await lease?.release();
      await within(Promise.all(all), "all were served");
      assert.deepEqual(served, [0, 1, 2, 3, 4]);
    },
  },
  {
    name: "acquire() serves processes of all runtimes in order of arrival",
    holds: ["L16", "X11"],
    smoke: true,
    needs: ["FAIR", "processes"],
    async run(stage) {
      const name = stage.name("lock");
      const options = { ttl: 10_000 };
      const one = await stage.open(options);
      const lease = await one.lock(name).acquire();
      const served: string[] = [];
      const all: Promise<void>[] = [];
      const runtimes = ["deno", "bun", "node"] as const;
      for (const [i, runtime] of runtimes.entries()) {
        const member = await stage.worker(runtime, options);
        all.push(
          member.acquire(name).then(async (remote) => {
            served.push(runtime);
            await remote.release();
          }),
        );
        await stage.queued(name, i + 1);
      }
      await lease.release();
      await within(Promise.all(all), "all were served");
      assert.deepEqual(served, runtimes);
    },
  },
  {
    name: "acquire() serves the callers of one coordinator in their order",
    holds: ["L17", "L10"],
    async run(stage) {
      const [one, name] = [await stage.open(), stage.name("lock")];
      const lease = await one.lock(name).acquire();
      const served: number[] = [];
      const all = [0, 1, 2, 3, 4].map((i) => one.lock(name).use(() => void served.push(i)));
      await lease.release();
      await within(Promise.all(all), "all were served");
      assert.deepEqual(served, [0, 1, 2, 3, 4]);
    },
  },
  {
    name: "acquire() goes round between coordinators with several callers each",
    holds: ["L17"],
    needs: ["FAIR"],
    async run(stage) {
      const name = stage.name("lock");
      const [holder, one, two] = await coordinators(stage, 3);
      const lease = await holder?.lock(name).acquire();
      const served: string[] = [];
      let left = 8;
      const turn = async (word: string) => {
        served.push(word);
        left--;
        // The next caller of this coordinator is in line again before the lock goes on.
        await stage.queued(name, Math.min(left, served.length === 7 ? 1 : 2));
      };
      const all: Promise<void>[] = [];
      for (const [word, coord] of [["one", one], ["two", two]] as const) {
        for (let i = 0; i < 4; i++) if (coord) all.push(coord.lock(name).use(() => turn(word)));
        await stage.queued(name, word === "one" ? 1 : 2);
      }
      await lease?.release();
      await within(Promise.all(all), "all were served");
      assert.deepEqual(served, ["one", "two", "one", "two", "one", "two", "one", "two"]);
    },
  },
  {
    name: "acquire() of a writer comes before readers that arrive after it",
    holds: ["L16", "L18"],
    smoke: true,
    needs: ["FAIR"],
    async run(stage) {
      const name = stage.name("lock");
      const [one, two, three] = [await stage.open(), await stage.open(), await stage.open()];
      const reader = await one.lock(name).acquire({ mode: "shared" });
      const served: string[] = [];
      const writer = two.lock(name).use(() => void served.push("writer"));
      await stage.queued(name, 1);
      const read = (coord: Coordinator) =>
        coord.lock(name).use(() => void served.push("reader"), { mode: "shared" });
      const late = [read(three)];
      await stage.queued(name, 2);
      // Also one whose coordinator reads already.
      late.push(read(one));
      await stage.queued(name, 3);
      await reader.release();
      await within(Promise.all([writer, ...late]), "all were served");
      assert.deepEqual(served, ["writer", "reader", "reader"]);
    },
  },
  {
    name: "acquire() of a writer is not starved by readers of other coordinators that overlap for ever",
    holds: ["L18"],
    async run(stage) {
      const name = stage.name("lock");
      const [one, two, three] = [await stage.open(), await stage.open(), await stage.open()];
      const readers = (stop: AbortSignal) =>
        [one, one, one, two, two].map((coord) => loop(coord, name, "shared", stop));
      await beside(readers, async () => {
        for (let i = 0; i < 3; i++) await within(three.lock(name).use(() => {}), "the writer had its turn");
      });
    },
  },
  {
    name: "acquire() of a reader is not starved by writers",
    holds: ["L19"],
    async run(stage) {
      const name = stage.name("lock");
      const [one, two, three] = [await stage.open(), await stage.open(), await stage.open()];
      const writers = (stop: AbortSignal) =>
        [one, one, one, two, two].map((coord) => loop(coord, name, "exclusive", stop));
      await beside(writers, async () => {
        for (let i = 0; i < 3; i++) {
          await within(three.lock(name).use(() => {}, { mode: "shared" }), "the reader had its turn");
        }
      });
    },
  },
  {
    name: "acquire() of a writer is not starved by readers of its own coordinator",
    holds: ["L18", "L17"],
    async run(stage) {
      const [one, name] = [await stage.open(), stage.name("lock")];
      const readers = (stop: AbortSignal) => [0, 1, 2].map(() => loop(one, name, "shared", stop));
      await beside(readers, async () => {
        for (let i = 0; i < 3; i++) await within(one.lock(name).use(() => {}), "the writer had its turn");
      });
    },
  },
];
