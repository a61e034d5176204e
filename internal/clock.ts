import type { Clock } from "../driver.ts";

/** The longest delay that a timer of the runtimes takes; a longer one would fire at once. */
const MAX_DELAY = 2 ** 31 - 1;

/** The clock of the machine. Its timers keep the process alive, and none fires early. */
export const systemClock: Clock = {
  now: () => performance.now(),
  // The one place that reads the wall clock: it may end a hold earlier, never extend one.
  wall: () => Date.now(),
  after(ms, fn) {
    const at = performance.now() + Math.max(ms, 0);
    // The runtimes count in whole milliseconds, and fire up to two of them early.
    const look = () => {
      const left = at - performance.now();
      if (left > 0) timer = wait(Math.ceil(left));
      else fn();
    };
    const wait = (left: number) => setTimeout(look, Math.min(left, MAX_DELAY));
    let timer = wait(Math.max(ms, 0));
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
