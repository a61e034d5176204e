import type { Clock } from "../driver.ts";

/** Settles as `promise` does, or rejects with the signal's reason when that aborts first. */
export function either<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
    const settle = <V>(settled: (value: V) => void) => (value: V) => {
      signal.removeEventListener("abort", abort);
      settled(value);
    };
    // After an abort nobody is left to hear of it.
    promise.then(settle(resolve), settle(reject));
  });
}

/** Waits for a promise to settle, either way, but no longer than `ms`. */
export async function bounded(clock: Clock, promise: Promise<unknown>, ms: number): Promise<void> {
  const late = Promise.withResolvers<void>();
  const cancel = clock.after(ms, late.resolve);
  await Promise.race([promise.catch(() => {}), late.promise]);
  cancel();
}
