import type { Clock } from "../../driver.ts";
import { Latch } from "../latch.ts";

/** Nobody writes when a process is killed, so watches look for the dead every 100 to 250 ms. */
const SHORTEST = 100;
const LONGEST = 250;

/**
 * Runs `read` now and after every change that may have happened, and yields what it answers unless that is the same
 * object as before. Ends when `signal` aborts; throws when `ended` does.
 */
export async function* watchChanges<T>(
  subscribe: (fn: () => void) => () => void,
  options: { clock: Clock; signal: AbortSignal; ended: AbortSignal },
  read: (before: T | undefined) => T | Promise<T>,
): AsyncGenerator<T, void> {
  const { clock, signal, ended } = options;
  const latch = new Latch();
  const ring = () => latch.ring();
  // Subscribed before the first look, so that nothing falls between.
  const unsubscribe = subscribe(ring);
  signal.addEventListener("abort", ring);
  ended.addEventListener("abort", ring);
  try {
    let before: T | undefined;
    for (let isFirst = true; !signal.aborted; isFirst = false) {
      ended.throwIfAborted();
      const now = await read(before);
      if (isFirst || now !== before) yield now;
      before = now;
      if (!signal.aborted) await latch.wait(clock, SHORTEST + Math.random() * (LONGEST - SHORTEST));
    }
  } finally {
    unsubscribe();
    signal.removeEventListener("abort", ring);
    ended.removeEventListener("abort", ring);
  }
}
