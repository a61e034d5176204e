import type { Clock } from "../../driver.ts";

/** Wakes one waiter; a ring while nobody waits is kept, many rings are one. */
export class Bell {
  #rung = false;
  #wake: ((rung: boolean) => void) | undefined;

  ring(): void {
    this.#rung = true;
    this.#wake?.(true);
  }

  /** Forgets what rang before: what is read from now on is newer. */
  reset(): void {
    this.#rung = false;
  }

  /** Waits for a ring, at most for `ms` if that is not negative; says whether it rang. */
  async wait(clock: Clock, ms: number): Promise<boolean> {
    if (this.#rung) return true;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const stop = ms < 0 ? undefined : clock.after(ms, () => resolve(false));
    this.#wake = resolve;
    try {
      return await promise;
    } finally {
      stop?.();
      this.#wake = undefined;
    }
  }
}
