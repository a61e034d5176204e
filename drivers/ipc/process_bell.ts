import { randomBytes } from "node:crypto";
import { sleep } from "../../internal/clock.ts";
import { ifThere } from "../../internal/files/failure.ts";
import { isSame, type LockFile } from "../../internal/platform/flock.ts";
import type { Pointer, Waiter } from "../../internal/platform/libc_calls.ts";
import { createSemaphore, pathOf, postTo, removeSemaphore } from "./semaphore.ts";
import type { Tools } from "./tools.ts";

/** How long one wait may take, in ms: a process that ends without closing is kept that long by its thread. */
const SLICE = 250;

/** How often to look where no thread can wait, in ms. */
const POLL = 20;

const DIGITS = 12;

/**
 * The semaphore on which a process waits for all its sessions: each wait takes a thread, of which Node has four. Its
 * file is locked while the process lives, so that one left behind is known for what it is.
 */
export class ProcessBell {
  /** The first digits of the names of all sessions that it rings. */
  readonly id: string;
  readonly #tools: Tools;
  readonly #semaphore: Pointer;
  readonly #file: LockFile;
  readonly #listeners = new Set<() => void>();
  readonly #ended: Promise<void>;
  #users = 0;

  private constructor(tools: Tools, made: { id: string; semaphore: Pointer; file: LockFile }) {
    this.#tools = tools;
    this.id = made.id;
    this.#semaphore = made.semaphore;
    this.#file = made.file;
    this.#ended = this.#run();
  }

  static create(tools: Tools): ProcessBell {
    const { libc, platform } = tools;
    for (;;) {
      const id = randomBytes(DIGITS / 2).toString("hex");
      const semaphore = createSemaphore(libc, id);
      // Somebody who tidies up may come between the two, and take it for a dead one's.
      const file = ifThere(() => platform.open(pathOf(id), "write"));
      if (file?.tryLock(true) && isSame(file.identity(), platform.identify(pathOf(id)))) {
        return new ProcessBell(tools, { id, semaphore, file });
      }
      file?.close();
      libc.sem_close(semaphore);
    }
  }

  /** Its file, if somebody has removed that: then nobody can ring. */
  missing(): string | undefined {
    const path = pathOf(this.id);
    return isSame(this.#file.identity(), this.#tools.platform.identify(path)) ? undefined : path;
  }

  /** Calls `fn` after every ring. Returns what ends it. */
  listen(fn: () => void): () => void {
    this.#listeners.add(fn);
    return () => this.#listeners.delete(fn);
  }

  /** Rings the process that has sessions of this name. */
  ring(sid: string): void {
    const id = sid.slice(0, DIGITS);
    if (id === this.id) this.#tools.libc.sem_post(this.#semaphore);
    else postTo(this.#tools.libc, id);
  }

  use(): void {
    this.#users++;
  }

  /** The last user ends it. */
  async leave(): Promise<void> {
    this.#users--;
    if (this.#users > 0) return;
    if (present === this) present = undefined;
    this.#tools.libc.sem_post(this.#semaphore);
    await this.#ended;
  }

  /** Waits for as long as there are users; never rejects. */
  async #run(): Promise<void> {
    const { libc } = this.#tools;
    const waiter = libc.waiter();
    // The first user comes after this.
    do {
      if (await this.#wait(waiter)) this.#tell();
    } while (this.#users > 0);
    waiter.end();
    // Not before: the thread waits at this address.
    libc.sem_close(this.#semaphore);
    if (this.missing() === undefined) removeSemaphore(libc, this.id);
    this.#file.unlock();
    this.#file.close();
  }

  async #wait(waiter: Waiter): Promise<boolean> {
    const { clock, libc } = this.#tools;
    const since = clock.now();
    try {
      if (await waiter.wait(this.#semaphore, SLICE)) return true;
      // A signal may interrupt it, for which its thread alone knows the reason.
      if (clock.now() - since > SLICE / 2) return false;
    } catch {
      // No thread, or no worker, to be had; the looks go on without.
    }
    await sleep(clock, POLL);
    return libc.sem_trywait(this.#semaphore) === 0;
  }

  #tell(): void {
    // However often it was rung: who is told looks at everything that has been written.
    while (this.#tools.libc.sem_trywait(this.#semaphore) === 0);
    for (const fn of [...this.#listeners]) fn();
  }
}

/** One for the process, as its threads are. */
let present: ProcessBell | undefined;

/** The bell of this process, in use from now on. `isNew`: nobody had one here. */
export function useBell(tools: Tools): { bell: ProcessBell; isNew: boolean } {
  const isNew = present === undefined || present.missing() !== undefined;
  const bell = present = isNew || !present ? ProcessBell.create(tools) : present;
  bell.use();
  return { bell, isNew };
}
