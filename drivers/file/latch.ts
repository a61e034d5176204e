import type { Clock } from "../../driver.ts";

/** Remembers one ring, so that none is lost between looking and waiting. */
export class Latch {
  #rung = false;
  #wake: (() => void) | undefined;

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** Waits for a ring, at most `ms`; answers whether it rang, and forgets it. */
  async wait(clock: Clock, ms: number): Promise<boolean> {
    if (!this.#rung) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const cancel = clock.after(ms, resolve);
      this.#wake = resolve;
      await promise;
      cancel();
      this.#wake = undefined;
    }
    const rung = this.#rung;
    this.#rung = false;
    return rung;
  }
}
