// What 8 processes make of a server that wakes nobody.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { memcached } from "../../drivers/memcached.ts";
import type { Turn } from "../conformance/remote.ts";
import { eventually, within } from "../conformance/waiting.ts";
import { LateError } from "../late.ts";
import { RUNTIMES } from "../processes/runtimes.ts";
import { spawnWorker, type Worker } from "../processes/spawn.ts";
import { startMemcached } from "../servers/memcached.ts";
import { ask } from "../servers/probe.ts";
import type { Server } from "../servers/server.ts";
import { checkTurns } from "./crew.ts";
import type { Roaming } from "./crowd_worker.ts";
import { Observer } from "./observer.ts";

const PROCESSES = 8;
const NAMESPACE = "crowd";
const SCRIPT = new URL("./crowd_worker.ts", import.meta.url);

/** Processes of all runtimes with a coordinator each. */
class Crowd implements AsyncDisposable {
  readonly server: Server;
  readonly workers: readonly Worker[];

  private constructor(server: Server, workers: readonly Worker[]) {
    this.server = server;
    this.workers = workers;
  }

  static async gather(): Promise<Crowd> {
    const server = await startMemcached();
    const hiring = Array.from({ length: PROCESSES }, (_, i) => {
      const options = { namespace: NAMESPACE, ttl: 15_000, memberId: `member-${i}` };
      const env = { COORD_WORKER: JSON.stringify({ url: server.url, options }) };
      return spawnWorker(RUNTIMES[i % RUNTIMES.length] ?? "deno", SCRIPT, { env });
    });
    return new Crowd(server, await Promise.all(hiring));
  }

  all(method: string, ...args: unknown[]): Promise<unknown[]> {
    return Promise.all(this.workers.map((worker) => worker.call(method, ...args)));
  }

  /** The turns of all, by the name of the lock. */
  async roam(roaming: Roaming): Promise<Map<string, Turn[]>> {
    const turns = await within(this.all("roam", roaming), "all have roamed", roaming.ms + 60_000);
    const byName = new Map<string, Turn[]>();
    // What the worker sends.
    for (const [name, turn] of (turns as [string, Turn][][]).flat()) {
      byName.set(name, [...byName.get(name) ?? [], turn]);
    }
    return byName;
  }

  async stats(): Promise<ReadonlyMap<string, number>> {
    const said = await ask(this.server.port, { send: "stats\r\n", expect: /END/ });
    return new Map([...said.matchAll(/^STAT (\S+) (\d+)\r$/gm)].map(([, name = "", n]) => [name, Number(n)]));
  }

  /** So many requests the server has had. */
  async requests(): Promise<number> {
    const stats = await this.stats();
    const counted = [
      "cmd_get",
      "cmd_set",
      "cmd_touch",
      "delete_hits",
      "delete_misses",
      "incr_hits",
      "incr_misses",
    ];
    return counted.reduce((sum, name) => sum + (stats.get(name) ?? 0), 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const worker of this.workers) worker.kill("SIGKILL");
    await Promise.all(this.workers.map(({ exited }) => exited));
    await this.server.stop();
  }
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? NaN;
}

/**
 * The lowest of the figures of a few rounds, in ms: in some of them the machine stands still. Rounds end with the
 * first that keeps to the limit.
 * @throws {LateError} when none does.
 */
async function best(what: string, limit: number, round: () => Promise<number>): Promise<number> {
  const took: number[] = [];
  while (took.length < ROUNDS) {
    const ms = await round();
    if (ms <= limit) return ms;
    took.push(ms);
  }
  throw new LateError(`Not within ${limit} ms: ${what}, but after ${took.join(", ")} ms`);
}

const OPTIONS = { timeout: 300_000 };
const ROUNDS = 4;

test(
  "memcached: 8 processes hold 1,000 locks each for a minute, and contend for 1,000 more",
  OPTIONS,
  async () => {
    await using crowd = await Crowd.gather();
    await within(crowd.all("hold", 1_000), "all hold theirs", 120_000);
    const turns = await crowd.roam({ names: 1_000, ms: 60_000, hold: 2 });
    for (const each of turns.values()) checkTurns(each);
    assert.deepEqual(await crowd.all("held"), Array(PROCESSES).fill(1_000));
    assert.equal((await crowd.stats()).get("evictions"), 0);
    console.log(
      `memcached: ${[...turns.values()].flat().length} turns with ${turns.size} locks, none overlapped`,
    );
  },
);

test("memcached: 8 processes share one lock evenly, and hand it over within 5 ms", OPTIONS, async () => {
  await using crowd = await Crowd.gather();
  let shares: number[] = [];
  const between = await best("half of them are handed over", 5, async () => {
    const turns = (await crowd.roam({ names: 1, ms: 20_000, hold: 20 })).get("shared-0") ?? [];
    checkTurns(turns);
    const sorted = [...turns].sort((a, b) => a.from - b.from);
    const members = [...new Set(turns.map(({ member }) => member))];
    shares = members.map((member) => turns.filter((turn) => turn.member === member).length);
    assert.equal(members.length, PROCESSES);
    assert.ok(Math.max(...shares) <= 2 * Math.min(...shares), `shares ${shares}`);
    return median(sorted.slice(1).map(({ from }, i) => from - (sorted[i]?.to ?? NaN)));
  });
  console.log(
    `memcached: handed over after ${between} ms, shares ${Math.min(...shares)} to ${Math.max(...shares)}`,
  );
});

test(
  "memcached: 8 processes that wait for 20 s ask little, and the first has it within 50 ms",
  OPTIONS,
  async () => {
    await using crowd = await Crowd.gather();
    await using observer = await Observer.open(memcached, crowd.server.url, NAMESPACE);
    const asked: number[] = [];
    const took = await best("the first has it", 50, async () => {
      const give = await observer.take("long");
      await crowd.all("wait", "long");
      await eventually(async () => await observer.waiting("long") === PROCESSES);
      const [before, start] = [await crowd.requests(), performance.now()];
      await sleep(20_000);
      asked.push((await crowd.requests() - before) / (performance.now() - start) * 1_000);
      assert.ok((asked.at(-1) ?? NaN) <= 100, `${asked} requests a second`);
      const given = Date.now();
      await give();
      return Math.min(...(await crowd.all("granted")).map(Number)) - given;
    });
    console.log(
      `memcached: ${Math.round(Math.max(...asked))} requests a second, handed over after ${took} ms`,
    );
  },
);
