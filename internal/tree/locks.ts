import type { Attempt, Entry, Grant, LockStore, Target } from "../../driver.ts";
import { Contest } from "./contest.ts";
import { type Level, levels } from "./levels.ts";
import { decodeEntry } from "./records.ts";
import type { TreeSession } from "./session.ts";
import type { LineEntry } from "./store.ts";

/** The locks of a session: each is a line of entries, of which the first holds, or all readers that lead. */
export class TreeLocks implements LockStore {
  readonly #session: TreeSession;

  constructor(session: TreeSession) {
    this.#session = session;
  }

  acquire(attempt: Attempt): Promise<Grant | undefined> {
    const { over } = this.#session.calls;
    if (attempt.signal.aborted) return Promise.reject(attempt.signal.reason);
    return over ? Promise.reject(over) : new Contest(this.#session, attempt).run();
  }

  async entries(target: Target): Promise<Entry[]> {
    const { entries } = await this.#list(target);
    const holders = countHolders(entries);
    return entries.map((entry, i) => toEntry(entry, i < holders));
  }

  watch(target: Target, signal: AbortSignal): AsyncIterable<Entry | undefined> {
    const line = this.#session.store.line(target);
    const look = async (): Promise<Level<Entry | undefined>> => {
      const { entries: [first], at } = await this.#list(target);
      return {
        value: first?.mode === "exclusive" ? toEntry(first, true) : undefined,
        changed: (stop) => line.changed(first?.path, at, stop),
      };
    };
    return levels(this.#session, signal, look);
  }

  async break(target: Target): Promise<boolean> {
    const line = this.#session.store.line(target);
    const { entries } = await this.#list(target);
    const holders = entries.slice(0, countHolders(entries));
    const removed = await Promise.all(holders.map((place) => this.#remove(() => line.remove(place))));
    return removed.includes(true);
  }

  /** Removes; what is gone after a try without an answer was removed by that. */
  async #remove(remove: () => Promise<boolean>): Promise<boolean> {
    return await this.#session.calls.run(async (again) => await remove() || again);
  }

  #list(target: Target) {
    return this.#session.calls.run(() => this.#session.store.line(target).list());
  }
}

/** How many of the entries, from the first on, hold the lock together. */
function countHolders(entries: readonly LineEntry[]): number {
  const [first] = entries;
  if (first?.mode !== "shared") return Math.min(entries.length, 1);
  const writer = entries.findIndex(({ mode }) => mode === "exclusive");
  return writer < 0 ? entries.length : writer;
}

function toEntry({ id, mode, value, token }: LineEntry, holds: boolean): Entry {
  // Other software writes what it likes.
  const text = decodeEntry(value) ?? { memberId: id, attempt: id, value };
  return { ...text, mode, ...(holds ? { token } : {}) };
}
