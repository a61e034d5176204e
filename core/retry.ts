import { sleep } from "../internal/clock.ts";
import type { Tenure } from "./tenure.ts";

/** Calls `fn` until it settles without an error, or until the tenure has ended; never rejects. */
export async function untilConfirmed(tenure: Tenure, fn: () => Promise<unknown>): Promise<void> {
  for (let pause = 50; !tenure.signal.aborted; pause = Math.min(pause * 2, tenure.interval)) {
    try {
      await sleep(tenure.clock, pause, tenure.signal);
      await fn();
      return;
    } catch {
      // Still unknown, or the tenure has ended, which the loop sees.
    }
  }
}
