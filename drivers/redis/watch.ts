import { Latch } from "../../internal/latch.ts";
import { isPassing } from "../../internal/passing.ts";
import type { RedisSession } from "./session.ts";

/** What a look saw. */
export interface Level<T> {
  readonly value: T;
  /** In how many ms something may change without a message; less than 0: never. */
  readonly next: number;
  /** Nothing to tell. */
  readonly same?: boolean;
  /** Nothing can follow. */
  readonly last?: boolean;
}

/** Looks now, and again after every message of the channel, every reconnect, and when somebody may have died. */
export async function* levels<T>(
  session: RedisSession,
  channel: string,
  signal: AbortSignal,
  look: (rung: boolean) => Promise<Level<T>>,
): AsyncGenerator<T, void> {
  if (signal.aborted) return;
  const bell = new Latch();
  const abort = () => bell.ring();
  const stopListening = session.connection.listen(channel, () => bell.ring());
  session.bells.add(bell);
  signal.addEventListener("abort", abort, { once: true });
  try {
    // From here on no change is missed, so look only now.
    await unlessAborted(signal, session.connection.subscribed(channel));
    for (let first = true, rung = true; !signal.aborted; first = false) {
      if (session.over) throw session.over;
      bell.reset();
      const level = await unlessAborted(signal, attempt(() => look(rung), first));
      if (signal.aborted) return;
      if (level && !level.same) yield level.value;
      if (level?.last) return;
      // After a failure the bell rings when the connection is back.
      rung = await bell.wait(session.clock, level ? level.next : session.ttl) || !level;
    }
  } finally {
    signal.removeEventListener("abort", abort);
    session.bells.delete(bell);
    stopListening();
  }
}

/** Once established, a watch outlasts a server that is away, or lets nobody in. */
async function attempt<T>(look: () => Promise<Level<T>>, first: boolean): Promise<Level<T> | undefined> {
  try {
    return await look();
  } catch (error) {
    if (first || !isPassing(error)) throw error;
    return undefined;
  }
}

/** The result, or undefined as soon as the signal aborts; what was asked for then goes its way unheard. */
async function unlessAborted<T>(signal: AbortSignal, result: Promise<T>): Promise<T | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<T | undefined>();
  const abort = () => resolve(undefined);
  signal.addEventListener("abort", abort);
  // Not a race with one lasting promise: that would keep every result until the end of the watch.
  result.then(resolve, reject);
  try {
    return await promise;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
