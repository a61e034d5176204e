// What 8 processes make of a server that wakes nobody.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { memcached } from "../../drivers/memcached.ts";
import type { Turn } from "../conformance/remote.ts";
import { eventually, within } from "../conformance/waiting.ts";
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
    const server = await startMemcached({ args: ["-m", "256"] });
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

const OPTIONS = { timeout: 300_000 };

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

test("memcached: 8 processes share one lock evenly", OPTIONS, async () => {
  await using crowd = await Crowd.gather();
  const turns = (await crowd.roam({ names: 1, ms: 20_000, hold: 20 })).get("shared-0") ?? [];
  checkTurns(turns);
  const sorted = [...turns].sort((a, b) => a.from - b.from);
  const gaps = sorted.slice(1).map(({ from }, i) => from - (sorted[i]?.to ?? NaN));
  const members = [...new Set(turns.map(({ member }) => member))];
  const shares = members.map((member) => turns.filter((turn) => turn.member === member).length);
  assert.equal(members.length, PROCESSES);
  assert.ok(Math.max(...shares) <= 2 * Math.min(...shares), `shares ${shares}`);
  console.log(
    `memcached: handed over after ${median(gaps)} ms, shares ${Math.min(...shares)} to ${
      Math.max(...shares)
    }`,
  );
});

test(
  "memcached: 8 processes that wait for 20 s ask little, and the first is soon there",
  OPTIONS,
  async () => {
    await using crowd = await Crowd.gather();
    await using observer = await Observer.open(memcached, crowd.server.url, NAMESPACE);
    const give = await observer.take("long");
    await crowd.all("wait", "long");
    await eventually(async () => await observer.waiting("long") === PROCESSES);
    const [before, start] = [await crowd.requests(), performance.now()];
    await sleep(20_000);
    const each = (await crowd.requests() - before) / (performance.now() - start) * 1_000;
    assert.ok(each <= 100, `${each} requests a second`);
    const given = Date.now();
    await give();
    const first = Math.min(...(await crowd.all("granted")).map(Number));
    console.log(`memcached: ${Math.round(each)} requests a second, handed over after ${first - given} ms`);
  },
);
