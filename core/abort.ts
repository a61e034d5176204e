import type { Clock } from "../driver.ts";

/** Settles as `promise` does, or rejects with the signal's reason when that aborts first. */
export async function either<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
    promise.catch(() => {}); // Nobody may be left to hear of it.
  }
}

/** Waits for a promise to settle, either way, but no longer than `ms`. */
export async function bounded(clock: Clock, promise: Promise<unknown>, ms: number): Promise<void> {
  const late = Promise.withResolvers<void>();
  const cancel = clock.after(ms, late.resolve);
  await Promise.race([promise.catch(() => {}), late.promise]);
  cancel();
}
