import type { Runtime } from "../processes/runtimes.ts";
import { spawnWorker, type Worker } from "../processes/spawn.ts";
import { WORKER } from "./remote.ts";
import { within } from "./waiting.ts";

/** How long a worker may take to close its coordinator, in ms. */
const LIMIT = 5_000;

/**
 * Processes that have done their part in one case and wait for the next: to start one costs more than most of what it
 * is asked for then.
 */
export class IdleWorkers implements AsyncDisposable {
  readonly #idle = new Map<Runtime, Worker[]>();

  /** One that waits, or a new one. */
  async take(runtime: Runtime): Promise<Worker> {
    return this.#idle.get(runtime)?.pop() ?? await spawnWorker(runtime, WORKER);
  }

  /** Keeps a process without its coordinator; ends it where that does not work. */
  async keep({ runtime, process }: { readonly runtime: Runtime; readonly process: Worker }): Promise<void> {
    if (process.hasEnded) return;
    try {
      await within(process.call("end"), "the coordinator is closed", LIMIT);
    } catch {
      return await process.close();
    }
    this.#idle.set(runtime, [...this.#idle.get(runtime) ?? [], process]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#idle.values()].flat().map((worker) => worker.close()));
  }
}
