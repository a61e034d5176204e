import type { Clock } from "../driver.ts";

/** Wakes one waiter, once for any number of rings; a ring that nobody waits for is kept for the next wait. */
export class Latch {
  #rung = false;
  #wake: () => void = () => {};

  ring(): void {
    this.#rung = true;
    this.#wake();
  }

  /** Forgets what rang before: what is read from now on is newer. */
  reset(): void {
    this.#rung = false;
  }

  /** Waits for a ring, no longer than `ms` if that is not negative; says whether it rang, and forgets it. */
  async wait(clock: Clock, ms = -1): Promise<boolean> {
    if (!this.#rung) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const cancel = ms < 0 ? undefined : clock.after(ms, resolve);
      this.#wake = resolve;
      await promise;
      cancel?.();
    }
    const rung = this.#rung;
    this.#rung = false;
    return rung;
  }
}
