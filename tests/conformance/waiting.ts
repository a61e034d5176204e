import { setTimeout as pause } from "node:timers/promises";
import { LateError } from "../late.ts";

/** How long a case waits for what must happen soon, on a machine that may be very busy, in ms. */
export const PATIENCE = 15_000;

/**
 * Calls `fn` until it returns something true.
 * @throws {LateError} after `ms`, with what it last threw.
 */
export async function eventually<T>(fn: () => T | Promise<T>, ms: number = PATIENCE): Promise<T> {
  const deadline = performance.now() + ms;
  for (let wait = 5;; wait = Math.min(wait * 2, 100)) {
    let last: unknown;
    try {
      const result = await fn();
      if (result) return result;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) {
      throw new LateError(`Not within ${ms} ms: ${last ?? fn}`, { cause: last });
    }
    await pause(wait);
  }
}

/**
 * Settles as the promise does; `what` says what is waited for.
 * @throws {LateError} when it has not settled after `ms`.
 */
export async function within<T>(promise: Promise<T>, what: string, ms: number = PATIENCE): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new LateError(`Not within ${ms} ms: ${what}`)), ms);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Resolves with the reason when the signal has aborted. */
export function aborted(
  signal: AbortSignal,
  what = "the signal fires",
  ms: number = PATIENCE,
): Promise<unknown> {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  if (signal.aborted) resolve(signal.reason);
  else signal.addEventListener("abort", () => resolve(signal.reason), { once: true });
  return within(promise, what, ms);
}

/** Lets time pass on purpose: a ttl, a hold. Never to wait for something that can be seen. */
export function elapse(ms: number): Promise<void> {
  return pause(ms);
}

/** How a promise settled: its error, or undefined where it resolved. Hears of the error at once. */
export function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(() => undefined, (error: unknown) => error);
}

/** Resolves with "pending" when the promise has not settled after `ms`, else as the promise does. */
export async function after<T>(ms: number, promise: Promise<T>): Promise<T | "pending"> {
  return await Promise.race([promise, pause(ms, "pending" as const)]);
}
