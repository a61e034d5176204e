import type { Mode, Target } from "../../driver.ts";
import type { SqlHold } from "./hold.ts";

/** What S holds. */
export class Holds {
  readonly #byName = new Map<string, Set<SqlHold>>();

  get all(): SqlHold[] {
    return [...this.#byName.values()].flatMap((holds) => [...holds]);
  }

  add(hold: SqlHold): void {
    const key = keyOf(hold.place.lock.target);
    const holds = this.#byName.get(key) ?? new Set();
    this.#byName.set(key, holds.add(hold));
  }

  has(hold: SqlHold): boolean {
    return this.#byName.get(keyOf(hold.place.lock.target))?.has(hold) ?? false;
  }

  delete(hold: SqlHold): void {
    const key = keyOf(hold.place.lock.target);
    const holds = this.#byName.get(key);
    if (holds?.delete(hold) && holds.size === 0) this.#byName.delete(key);
  }

  /** Whether S has the lock in a way that keeps others from having it in this mode. */
  conflict(wanted: Target & { readonly mode: Mode }): boolean {
    const holds = this.#byName.get(keyOf(wanted));
    return holds !== undefined && (wanted.mode === "exclusive" || [...holds].some(isExclusive));
  }
}

function keyOf({ kind, name }: Target): string {
  return `${kind}:${name}`;
}

function isExclusive({ place: { mode } }: SqlHold): boolean {
  return mode === "exclusive";
}
