import { either } from "../../core/abort.ts";
import { isPassing } from "../passing.ts";
import { sleep } from "../clock.ts";
import type { Host } from "./host.ts";
import { Interrupted } from "./store.ts";

/** A refused look at something that was seen before is repeated this soon, in ms. */
const AGAIN = 1000;

/** What a look saw. */
export interface Level<T> {
  readonly value: T;
  /** Waits until it may be different; undefined: it never will. */
  readonly changed: ((signal: AbortSignal) => Promise<void>) | undefined;
}

/** Looks now, and again after every change; ends when the signal aborts. */
export async function* levels<T>(
  session: Host,
  signal: AbortSignal,
  look: () => Promise<Level<T>>,
): AsyncGenerator<T, void> {
  try {
    let level = await either(look(), signal);
    for (;;) {
      yield level.value;
      if (!level.changed || signal.aborted) return;
      await hear(session, level.changed, signal);
      level = await lookOn(session, look, signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** Waits for a change; also returns when nothing more can be heard, since then something may have changed. */
export async function hear(
  session: Host,
  changed: (signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const { calls } = session;
  const stop = new AbortController();
  try {
    await either(either(changed(stop.signal), signal), calls.ending);
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    calls.suspend(error);
  } finally {
    stop.abort();
  }
}

/** Looks at something that is there as long as the session lives, however long the store cannot be reached. */
export async function lookOn<T>(
  session: Host,
  look: () => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  for (;;) {
    try {
      return await either(look(), signal);
    } catch (error) {
      if (!isPassing(error)) throw error;
      await sleep(session.clock, AGAIN, AbortSignal.any([signal, session.calls.ending]));
    }
  }
}
