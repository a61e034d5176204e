import { either } from "../../core/abort.ts";
import { ConnectionError, CoordError } from "../../core/errors.ts";
import type { Attempt, Grant } from "../../driver.ts";
import { sleep } from "../clock.ts";
import { failureOf } from "./failure.ts";
import { SqlHold } from "./hold.ts";
import type { SqlSession } from "./session.ts";
import { Cancelled, Interrupted, type Lock, type Place, type Side, type Taking } from "./store.ts";

/** A wait is asked to end again after so many ms: the first word may have come before the wait itself. */
const AGAIN = 20;

/** Whether a connection broke, or could not be made. */
function isInterrupted(error: unknown): boolean {
  return error instanceof Interrupted ||
    (error instanceof ConnectionError && error.cause instanceof Interrupted);
}

/** One attempt on its way to a grant: a try on S, then a wait on a side, then the taking on S. */
export class Contest {
  readonly #session: SqlSession;
  readonly #attempt: Attempt;
  readonly #lock: Lock;

  constructor(session: SqlSession, attempt: Attempt) {
    this.#session = session;
    this.#attempt = attempt;
    this.#lock = session.store.lock(attempt);
  }

  /** Tries, and waits if that is wanted. */
  async run(): Promise<Grant | undefined> {
    const { wait } = this.#attempt;
    // What S holds would not be in its own way.
    if (!wait || !this.#session.holds.conflict(this.#attempt)) {
      const place = await this.#take(false);
      if (place) return this.#hold(place);
    }
    return wait ? await this.#wait() : undefined;
  }

  async #wait(): Promise<Grant> {
    let side: Side | undefined;
    try {
      side = await this.#session.sides.take();
      for (;;) {
        await this.#waitOn(side);
        const place = await this.#take(true);
        // Until the side has given Q back, nobody else can try.
        if (place) return this.#hold(place, this.#session.sides.give(side));
      }
    } catch (error) {
      if (side) await this.#session.sides.give(side);
      if (isInterrupted(error)) await this.#findOut();
      throw this.#why(error);
    }
  }

  /** Asks S: what ended its side may have ended it too, and the session, without its having heard. */
  async #findOut(): Promise<void> {
    const asked = this.#session.calls.runFirst(() => this.#session.store.standing([]));
    await either(asked, this.#attempt.signal).catch(() => {}); // Whatever it is, the wait is over.
  }

  /** Waits until S can take the lock; a wait that was ended from elsewhere goes on. */
  async #waitOn(side: Side): Promise<void> {
    const { signal } = this.#attempt;
    for (;;) {
      signal.throwIfAborted();
      const waiting = side.wait(this.#lock, this.#taking(true));
      let cancelling: Promise<void> | undefined;
      const settled = new AbortController();
      const cancel = () => cancelling = this.#cancel(side, settled.signal);
      signal.addEventListener("abort", cancel, { once: true });
      try {
        return await waiting;
      } catch (error) {
        if (!(error instanceof Cancelled)) throw error;
      } finally {
        signal.removeEventListener("abort", cancel);
        settled.abort();
        // A word that is on its way would end what comes next.
        await cancelling;
      }
    }
  }

  /** Ends a wait, or its connection if that does not help. */
  async #cancel(side: Side, settled: AbortSignal): Promise<void> {
    const { clock, limit } = this.#session;
    const until = clock.now() + limit;
    while (!settled.aborted && clock.now() < until) {
      await side.cancel().catch(() => {}); // It is tried again.
      await sleep(clock, AGAIN, settled).catch(() => {}); // It has settled.
    }
    if (!settled.aborted) side.destroy();
  }

  async #take(isHead: boolean): Promise<Place | undefined> {
    const { signal } = this.#attempt;
    signal.throwIfAborted();
    const undo = (place: Place | undefined) => place && this.#session.owe(() => this.#lock.give(place));
    const place = await this.#session.calls.run(() => this.#lock.take(this.#taking(isHead)), undo);
    if (signal.aborted) await undo(place);
    signal.throwIfAborted();
    return place;
  }

  #taking(isHead: boolean): Taking {
    const { id, mode, value } = this.#attempt;
    return { attempt: id, mode, value, isHead };
  }

  #hold(place: Place, settled?: Promise<void>): SqlHold {
    return new SqlHold(this.#session, place, settled);
  }

  /** What the caller is told of a wait that has failed. */
  #why(error: unknown): unknown {
    const { signal } = this.#attempt;
    if (signal.aborted) return signal.reason;
    const { over } = this.#session.calls;
    if (over || error instanceof CoordError) return over ?? error;
    const { driver } = this.#session;
    const why = error instanceof Error ? error.message : "its connection broke";
    const message = `Cannot wait any longer for ${this.#attempt.kind} "${this.#attempt.name}": ${why}`;
    return failureOf(error, { message, driver });
  }
}
