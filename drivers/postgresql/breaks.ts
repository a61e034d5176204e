import { prepared } from "./connection.ts";
import type { LockKeys } from "./keys.ts";

const SINCE = prepared(
  "breaks_since",
  "select breaks::text, lock::text, number::text, hold::text from tooz.breaks_since($1)",
);

/** What a lock is at present: another one after each break. */
export interface Generation {
  readonly number: string;
  /** The key of its hold. */
  readonly hold: string;
}

/** What a session knows of the locks that ever were broken: all of it, as of so many breaks in the database. */
export class Breaks {
  readonly #ask: (statement: typeof SINCE, values: unknown[]) => Promise<unknown[][]>;
  readonly #known = new Map<string, Generation>();
  #count = "-1";

  constructor(ask: (statement: typeof SINCE, values: unknown[]) => Promise<unknown[][]>) {
    this.#ask = ask;
  }

  /** So many breaks there were when it was last read. */
  get count(): string {
    return this.#count;
  }

  of({ lock }: LockKeys): Generation {
    return this.#known.get(lock) ?? { number: "0", hold: lock };
  }

  /** Reads what was broken meanwhile. */
  async read(): Promise<void> {
    for (const [breaks, lock, number, hold] of await this.#ask(SINCE, [this.#count])) {
      this.#count = String(breaks);
      if (lock !== null) this.#known.set(String(lock), { number: String(number), hold: String(hold) });
    }
  }
}
