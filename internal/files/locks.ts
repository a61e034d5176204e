import type { Attempt, Entry, Grant, LockStore, Target } from "../../driver.ts";
import type { Reason } from "./bell.ts";
import { watchChanges } from "./changes.ts";
import type { Context } from "./context.ts";
import { FileGrant } from "./grant.ts";
import { breakLock, readExclusive, readHolders, readWaiters } from "./holders.ts";
import { Latch } from "../latch.ts";
import { LockDir } from "./lock_dir.ts";
import { type OwnerRecord, toEntry } from "./record.ts";
import { type Hold, take } from "./take.ts";
import { Wait } from "./wait.ts";

/** So many names are kept open for the next acquire. */
const KEPT = 64;

/** The locks and elections of a session. */
export class FileLocks implements LockStore {
  readonly #context: Context;
  readonly #dirs = new Map<string, LockDir>();
  readonly #grants = new Map<string, Set<FileGrant>>();
  readonly #waits = new Map<string, Set<Latch>>();

  constructor(context: Context) {
    this.#context = context;
  }

  async acquire(attempt: Attempt): Promise<Grant | undefined> {
    this.#context.ended.throwIfAborted();
    attempt.signal.throwIfAborted();
    try {
      const dir = this.#dir(attempt);
      const hold = await take(this.#context, dir, { attempt }) ??
        (attempt.wait ? await this.#wait(dir, attempt) : undefined);
      return hold && this.#grant(hold);
    } catch (error) {
      throw this.#explain(error, `take lock ${JSON.stringify(attempt.name)}`, attempt.signal);
    }
  }

  entries(target: Target): Promise<Entry[]> {
    return this.#run(`list the holders of ${JSON.stringify(target.name)}`, async () => {
      const dir = this.#dir(target);
      return [...await readHolders(this.#context, dir), ...readWaiters(dir)].map(toEntry);
    });
  }

  async *watch(target: Target, signal: AbortSignal): AsyncGenerator<Entry | undefined, void> {
    const { clock, ended, sid, wires } = this.#context;
    try {
      ended.throwIfAborted();
      const dir = this.#dir(target);
      dir.ensure();
      const owners = watchChanges<OwnerRecord | undefined>(
        (fn) => wires.watch(sid, dir, fn),
        { clock, signal, ended },
        async (before) => {
          const now = await readExclusive(this.#context, dir);
          return isSameOwner(now, before) ? before : now;
        },
      );
      for await (const owner of owners) yield owner && toEntry(owner);
    } catch (error) {
      throw this.#explain(error, `watch ${JSON.stringify(target.name)}`);
    }
  }

  break(target: Target): Promise<boolean> {
    return this.#run(`break lock ${JSON.stringify(target.name)}`, async () => {
      const dir = this.#dir(target);
      const wasHeld = await breakLock(this.#context, dir);
      // Our own holds are told before the caller is: a ring would come after.
      if (wasHeld) this.hear("hold", dir.key);
      return wasHeld;
    });
  }

  /** Passes a ring on to those whom it may concern. */
  hear(reason: Reason | undefined, key: string | undefined): void {
    if (reason !== "hold") { for (const latch of of(this.#waits, key)) latch.ring(); }
    if (reason !== "wait") { for (const grant of of(this.#grants, key)) grant.look(); }
  }

  /** Looks after every grant. */
  beat(): void {
    for (const grant of of(this.#grants, undefined)) grant.look();
  }

  close(): void {
    for (const grant of of(this.#grants, undefined)) grant.abandon();
    for (const dir of this.#dirs.values()) dir.close();
  }

  async #wait(dir: LockDir, attempt: Attempt): Promise<Hold> {
    const { ended } = this.#context;
    const latch = new Latch();
    const ring = () => latch.ring();
    add(this.#waits, dir.key, latch);
    attempt.signal.addEventListener("abort", ring);
    ended.addEventListener("abort", ring);
    try {
      return await new Wait(this.#context, dir, { attempt, latch }).run();
    } finally {
      remove(this.#waits, dir.key, latch);
      attempt.signal.removeEventListener("abort", ring);
      ended.removeEventListener("abort", ring);
    }
  }

  #grant(hold: Hold): FileGrant {
    const grant = new FileGrant(this.#context, hold, () => remove(this.#grants, hold.dir.key, grant));
    add(this.#grants, hold.dir.key, grant);
    this.#context.wires.changed(hold.dir.key);
    return grant;
  }

  #dir(target: Target): LockDir {
    const key = `${target.kind}/${target.name}`;
    const dir = this.#dirs.get(key) ?? new LockDir(this.#context, target);
    // In order of use, so that the first is the one to give up.
    this.#dirs.delete(key);
    this.#dirs.set(key, dir);
    if (this.#dirs.size > KEPT) this.#forget();
    return dir;
  }

  #forget(): void {
    for (const [key, dir] of this.#dirs) {
      this.#dirs.delete(key);
      dir.close();
      return;
    }
  }

  async #run<T>(action: string, step: () => T | Promise<T>): Promise<T> {
    try {
      this.#context.ended.throwIfAborted();
      return await step();
    } catch (error) {
      throw this.#explain(error, action);
    }
  }

  #explain(error: unknown, action: string, signal?: AbortSignal): unknown {
    if (signal?.aborted && error === signal.reason) return error;
    // A directory that went away takes the session along: then that is the reason.
    this.#context.verify();
    return this.#context.ended.aborted
      ? this.#context.ended.reason
      : this.#context.failures.explain(action, error);
  }
}

function isSameOwner(a: OwnerRecord | undefined, b: OwnerRecord | undefined): boolean {
  return a?.attempt === b?.attempt && a?.token === b?.token && a?.value === b?.value;
}

function add<T>(sets: Map<string, Set<T>>, key: string, value: T): void {
  const set = sets.get(key) ?? new Set();
  sets.set(key, set.add(value));
}

function remove<T>(sets: Map<string, Set<T>>, key: string, value: T): void {
  const set = sets.get(key);
  if (set?.delete(value) && set.size === 0) sets.delete(key);
}

/** The values of one key, or of all. */
function of<T>(sets: Map<string, Set<T>>, key: string | undefined): T[] {
  return key === undefined ? [...sets.values()].flatMap((set) => [...set]) : [...sets.get(key) ?? []];
}
