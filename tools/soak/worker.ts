/**
 * A worker of the soak: takes locks in all the ways there are, stands for election, and follows its group, as fast as
 * its pauses allow, and tells the judge what it holds.
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import {
  AcquireTimeoutError,
  ClosedError,
  ConnectionError,
  CoordError,
  type Coordinator,
  getCoordinator,
  type Lease,
} from "../../mod.ts";
import { collectedHeap } from "./heap.ts";
import { JudgeClient } from "./judge_client.ts";

/** The first line of a worker's input. */
export interface WorkerSettings {
  readonly id: string;
  readonly url: string;
  readonly judge: number;
  readonly locks: readonly string[];
  /** Jobs that take locks side by side. */
  readonly lanes: number;
  readonly ttl: number;
  /** Ms between two samples of the heap; absent: none. */
  readonly sample?: number;
}

/** What a worker says on its output. */
export type WorkerLine =
  | { readonly type: "ready" }
  | { readonly type: "heap"; readonly bytes: number }
  | { readonly type: "trouble"; readonly why: string };

function between(low: number, high: number): number {
  return low + Math.random() * (high - low);
}

function tell(line: WorkerLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

class SoakWorker {
  readonly #coord: Coordinator;
  readonly #judge: JudgeClient;
  readonly #settings: WorkerSettings;

  constructor(coord: Coordinator, judge: JudgeClient, settings: WorkerSettings) {
    this.#coord = coord;
    this.#judge = judge;
    this.#settings = settings;
  }

  /** Does everything until the coordinator is closed. */
  async run(): Promise<void> {
    const lanes = Array.from({ length: this.#settings.lanes }, () => this.#again(() => this.#takeSome()));
    await Promise.all([...lanes, this.#again(() => this.#lead()), this.#again(() => this.#follow())]);
  }

  /** Over and over; what a fault may bring is taken in stride, anything else ends the worker. */
  async #again(job: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        await job();
      } catch (error) {
        if (error instanceof ClosedError) return;
        if (!(error instanceof CoordError)) throw error;
        tell({ type: "trouble", why: error.name });
        await sleep(50);
      }
    }
  }

  async #takeSome(): Promise<void> {
    await sleep(between(10, 150));
    const { locks } = this.#settings;
    const name = locks[Math.floor(Math.random() * locks.length)] ?? "lock";
    const lease = await this.#take(name);
    if (!lease) return;
    await this.#hold(lease, name, between(1, 30));
    await lease.release();
  }

  /** Mostly in line, sometimes with too little patience. */
  async #take(name: string): Promise<Lease | undefined> {
    const lock = this.#coord.lock(name);
    const chance = Math.random();
    if (chance < 0.7) return await lock.acquire();
    if (chance < 0.8) return await lock.tryAcquire();
    const patience = Math.round(between(0, 100)); // Node wants whole ones of a signal.
    try {
      if (chance < 0.9) return await lock.acquire({ timeout: patience });
      return await lock.acquire({ signal: AbortSignal.timeout(patience) });
    } catch (error) {
      const isPatience = error instanceof AcquireTimeoutError || (error as Error).name === "TimeoutError";
      if (isPatience) return undefined;
      throw error;
    }
  }

  async #lead(): Promise<void> {
    await this.#coord.election("chief").lead(async (leadership) => {
      await this.#hold(leadership, "chief", between(20, 200));
    });
  }

  /** Tells the judge of a hold, and of its end before it ends. */
  async #hold(lease: Lease, name: string, ms: number): Promise<void> {
    const what = `${this.#settings.id} ${name} ${lease.token}`;
    const { signal } = lease;
    // At the end of the soak the coordinator closes: the lock is ours until it is given back.
    const lost = () =>
      void this.#judge.say(`${signal.reason instanceof ClosedError ? "leave" : "lost"} ${what}`);
    await this.#judge.say(`enter ${what}`);
    if (signal.aborted) return lost();
    signal.addEventListener("abort", lost, { once: true });
    await sleep(ms);
    // Reading the lease's signal reads the clocks: after a stall, this is when it fires.
    const isLost = lease.signal.aborted;
    signal.removeEventListener("abort", lost);
    if (!isLost) await this.#judge.say(`leave ${what}`);
  }

  /** A member that sees the others come and go. */
  async #follow(): Promise<void> {
    const group = this.#coord.group("fleet");
    await using membership = await group.join({}, { create: true });
    await using watch = await group.watch({ signal: membership.signal });
    for await (const _ of watch); // Looking is all.
    await sleep(50);
  }
}

/** On a machine that is busy starting others, a server's first answer may take too long. */
async function open(): Promise<Coordinator> {
  for (;;) {
    try {
      return await getCoordinator(url, { memberId: id, ttl });
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      tell({ type: "trouble", why: error.name });
    }
  }
}

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const settings = JSON.parse((await lines.next()).value ?? "null") as WorkerSettings; // The fleet wrote it.
const { id, url, ttl, sample } = settings;
const judge = await JudgeClient.open(settings.judge);
const coord = await open();
const done = new SoakWorker(coord, judge, settings).run();
tell({ type: "ready" });
if (sample !== undefined) {
  setInterval(() => void collectedHeap().then((bytes) => tell({ type: "heap", bytes })), sample);
}
await Promise.race([lines.next(), done]);
await coord.close({ grace: 1_000 });
await done;
process.exit(0);
