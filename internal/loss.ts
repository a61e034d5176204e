import type { Loss } from "../driver.ts";

/**
 * The least that tells of a loss. Most locks are given back before they are lost, and an `AbortSignal` with a listener
 * takes as long as a tenth of a round trip.
 */
export class Alarm implements Loss {
  readonly #listeners: (() => void)[] = [];
  aborted = false;
  reason: unknown;

  addEventListener(_type: "abort", listener: () => void): void {
    if (!this.aborted) this.#listeners.push(listener);
  }

  /** Tells everybody, the first time. */
  abort(reason: unknown): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    for (const listener of this.#listeners.splice(0)) listener();
  }
}
