/**
 * One worker of the demo: it shares files out with the other workers, works on each under its lock, and stands for
 * election as the one who writes the summary. All that it knows of the others goes through the coordinator.
 */
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { CoordError, type Coordinator, getCoordinator, type Lease, type Partitioner } from "../../mod.ts";
import { measure } from "./files.ts";
import { endWithInput, inputLines, readSettings, tell } from "./lines.ts";
import { type Result, SUMMARY, type WorkerEvent, type WorkerSettings } from "./messages.ts";
import { StoreClient } from "./store_client.ts";

/** How long a dead worker's locks and leadership linger where only time ends them, in ms. */
const TTL = 3_000;

class FileWorker {
  readonly #coord: Coordinator;
  readonly #store: StoreClient;
  readonly #settings: WorkerSettings;
  #stallsNext = false;

  constructor(coord: Coordinator, store: StoreClient, settings: WorkerSettings) {
    this.#coord = coord;
    this.#store = store;
    this.#settings = settings;
  }

  /** Stops this process at the worst of all moments: see {@linkcode #write}. */
  stallAtNextWrite(): void {
    this.#stallsNext = true;
  }

  /** Every worker stands for election; who leads when all files are done writes the summary. */
  async lead(): Promise<void> {
    await this.#untilDone(async () => {
      await this.#coord.election("summary").lead(async ({ token }) => {
        const totals = await this.#store.totals();
        if (await this.#store.claim(SUMMARY, token)) await this.#store.write(SUMMARY, token, totals);
      });
      return true;
    });
  }

  /** Works until no file is left; joins again when the membership was lost. */
  async work(): Promise<void> {
    await this.#untilDone(async () => {
      await using share = await this.#coord.group("workers").partition();
      return await this.#workAs(share);
    });
  }

  /** The coordinator mends what it can by itself; a wait that a lost session has cut short is ours to begin again. */
  async #untilDone(attempt: () => Promise<boolean>): Promise<void> {
    for (let isDone = false; !isDone;) {
      try {
        isDone = await attempt();
      } catch (error) {
        if (!(error instanceof CoordError)) throw error;
        this.#tell({ type: "trouble", why: error.message });
        await sleep(100);
      }
    }
  }

  /** Its own share first, then what is left of the others'. Returns whether all is done. */
  async #workAs(share: Partitioner): Promise<boolean> {
    while (!share.signal.aborted) {
      const pending = await this.#store.pending();
      if (pending.length === 0) return true;
      const mine = pending.filter((file) => share.isMine(file));
      if (mine.length > 0) await this.#workOn(mine, (file) => share.isMine(file));
      else await this.#workOn(pending, () => !share.signal.aborted);
    }
    return false;
  }

  async #workOn(files: readonly string[], isWanted: (file: string) => boolean): Promise<void> {
    let taken = 0;
    for (const file of files) {
      if (!isWanted(file)) continue; // Somebody has joined meanwhile.
      await using lease = await this.#coord.lock(file).tryAcquire();
      if (!lease) continue;
      taken++;
      await this.#process(file, lease);
    }
    const [first] = files;
    if (taken > 0 || first === undefined) return;
    // All are in somebody's hands. Whoever holds this one gives it back, or dies, or has it taken away: we are next.
    await using lease = await this.#coord.lock(first).acquire();
    await this.#process(first, lease);
  }

  async #process(file: string, lease: Lease): Promise<void> {
    if (!await this.#store.claim(file, lease.token)) return;
    this.#tell({ type: "took", file, token: String(lease.token) });
    try {
      const result = await measure(join(this.#settings.folder, file));
      await sleep(this.#settings.pause, undefined, { signal: lease.signal });
      await this.#write(file, lease, result);
    } catch (error) {
      if (!lease.signal.aborted) throw error;
    }
    if (lease.signal.aborted) this.#tell({ type: "lost", file, why: String(lease.signal.reason) });
    else this.#tell({ type: "gave back" });
  }

  async #write(file: string, lease: Lease, result: Result): Promise<void> {
    lease.signal.throwIfAborted();
    // Here the lock is held, and no later look can be better: a process can be stopped between any look and the write
    // that follows, for as long as the system pleases. The token goes along, so that the store sees what we cannot.
    if (this.#stallsNext) this.#stall(file, lease);
    await this.#store.write(file, lease.token, result);
  }

  #stall(file: string, lease: Lease): void {
    this.#stallsNext = false;
    this.#tell({ type: "stalls", file, token: String(lease.token) });
    process.kill(process.pid, "SIGSTOP");
  }

  #tell(event: WorkerEvent): void {
    tell(event);
  }
}

const lines = inputLines();
const settings = await readSettings<WorkerSettings>(lines);
const { id, backend, namespace } = settings;
const store = new StoreClient(settings.store, id);
const coord = await getCoordinator(backend, { memberId: id, namespace, ttl: TTL });
const worker = new FileWorker(coord, store, settings);
void endWithInput(lines, (line) => line === "stall" && worker.stallAtNextWrite());
await Promise.all([worker.work(), worker.lead()]);
await coord.close();
process.exit(0);
