import type { Clock } from "../driver.ts";

/** The longest delay that a timer of the runtimes takes; a longer one would fire at once. */
const MAX_DELAY = 2 ** 31 - 1;

/** The clock of the machine. Its timers keep the process alive. */
export const systemClock: Clock = {
  now: () => performance.now(),
  // The one place that reads the wall clock: it may end a hold earlier, never extend one.
  wall: () => Date.now(),
  after(ms, fn) {
    const timer = setTimeout(fn, Math.min(Math.max(ms, 0), MAX_DELAY));
    return () => clearTimeout(timer);
  },
};

/** Waits on a clock; rejects with the signal's reason when that aborts first. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  if (signal?.aborted) return Promise.reject(signal.reason);
  const cancel = clock.after(ms, () => {
    signal?.removeEventListener("abort", abort);
    resolve();
  });
  const abort = () => {
    cancel();
    reject(signal?.reason);
  };
  signal?.addEventListener("abort", abort, { once: true });
  return promise;
}
