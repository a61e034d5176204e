import { either } from "../../core/abort.ts";
import { CapacityError, ConnectionError, CoordError, type SessionLostError } from "../../core/errors.ts";
import type { Clock } from "../../driver.ts";
import { sleep } from "../clock.ts";
import { reasonOf } from "../reason.ts";
import { Interrupted, SessionGone, type Store } from "./store.ts";

/** What calls are made with. */
export interface CallsOptions {
  readonly clock: Clock;
  readonly driver: string;
  /** The deadline of one call, in ms. */
  readonly timeout: number;
  /** The store says that the session is over. */
  lose(): void;
  suspended(): void;
  restored(): void;
}

/** Calls, and rejects where that throws. */
function attempt<T>(send: (again: boolean) => Promise<T>, again: boolean): Promise<T> {
  try {
    return send(again);
  } catch (error) {
    return Promise.reject(error);
  }
}

/** How long to wait before a try, in ms: not all clients of a server that went away may come back at one moment. */
export function pause(tries: number, timeout: number): number {
  return Math.min(20 * 2 ** tries, 1000, timeout / 4) * Math.random();
}

/** Requests to a store, repeated until their deadline while servers come and go. */
export class Calls {
  /** Set once the session is lost or closed; what all calls reject with from then on. */
  over: SessionLostError | undefined;
  readonly #store: Store;
  readonly #options: CallsOptions;
  readonly #ending = new AbortController();
  readonly #queue: (() => void)[] = [];
  /** Reject those who wait for an answer. */
  readonly #waiting = new Set<(over: SessionLostError) => void>();
  /** Those that are free. */
  #lanes: number;
  #restored: PromiseWithResolvers<void> | undefined;
  #cause: unknown;

  constructor(store: Store, options: CallsOptions) {
    this.#store = store;
    this.#lanes = store.lanes;
    this.#options = options;
  }

  /** The deadline of one call, in ms. */
  get timeout(): number {
    return this.#options.timeout;
  }

  /** Fires when the session is over. */
  get ending(): AbortSignal {
    return this.#ending.signal;
  }

  /** Ends all calls, now and later. */
  end(over: SessionLostError): void {
    this.over = over;
    this.#ending.abort(over);
    for (const reject of this.#waiting) reject(over);
    this.#waiting.clear();
  }

  /**
   * Sends a request until it is answered.
   * @param send told whether an earlier try may have been carried out
   * @throws {ConnectionError} after the time-out, or when the server refuses
   * @throws {CapacityError} when it has no room for it, or has let nobody in until then
   */
  run<T>(send: (again: boolean) => Promise<T>): Promise<T> {
    const since = this.#options.clock.now();
    if (this.#lanes === 0) {
      return this.#queueUp().then(() => this.#inLane(send, this.#restored ? since : undefined));
    }
    this.#lanes--;
    return this.#inLane(send, since);
  }

  #queueUp(): Promise<void> {
    return new Promise((free) => this.#queue.push(free));
  }

  /** While there is no server, the time in the queue counts. */
  #inLane<T>(send: (again: boolean) => Promise<T>, since: number | undefined): Promise<T> {
    return this.runFirst(send, since).finally(() => {
      const next = this.#queue.shift();
      if (next) next();
      else this.#lanes++;
    });
  }

  /** The same before all that waits to be sent: what keeps the session. */
  runFirst<T>(
    send: (again: boolean) => Promise<T>,
    since: number = this.#options.clock.now(),
  ): Promise<T> {
    const left = () => since + this.#options.timeout - this.#options.clock.now();
    if (this.#restored && !this.over) return this.#retry(send, false, left());
    return this.#once(send, false).catch((error: unknown) => {
      if (!(error instanceof Interrupted)) throw error;
      return this.#retry(send, true, left());
    });
  }

  /** Tells that the store cannot be reached, and asks until it can. */
  suspend(cause: unknown): void {
    this.#cause = cause;
    if (this.#restored || this.over) return;
    this.#restored = Promise.withResolvers();
    this.#options.suspended();
    // It ends with the session and rejects never.
    void this.#probe();
  }

  /** Sends a request, and is done with it when the session ends: cheaper than to listen to a signal each time. */
  #once<T>(send: (again: boolean) => Promise<T>, again: boolean): Promise<T> {
    if (this.over) return Promise.reject(this.over);
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      attempt(send, again).then(
        (answer) => {
          this.#waiting.delete(reject);
          if (this.over) reject(this.over);
          else resolve(answer);
        },
        (error: unknown) => {
          this.#waiting.delete(reject);
          reject(this.#judge(error));
        },
      );
    });
  }

  /** What a failure means to those who asked. */
  #judge(error: unknown): unknown {
    if (error instanceof SessionGone) this.#options.lose();
    if (this.over) return this.over;
    // What the store says itself is said well.
    if (error instanceof CoordError) return error;
    if (!(error instanceof Interrupted)) return this.#error("use", error);
    this.suspend(error);
    return error;
  }

  async #retry<T>(send: (again: boolean) => Promise<T>, sent: boolean, budget: number): Promise<T> {
    const late = new AbortController();
    const stop = this.#options.clock.after(budget, () => late.abort());
    const stopped = AbortSignal.any([late.signal, this.ending]);
    try {
      for (let again = sent;; again = true) {
        if (this.#restored) await either(this.#restored.promise, stopped);
        try {
          return await either(this.#once(send, again), stopped);
        } catch (error) {
          if (!(error instanceof Interrupted)) throw error;
        }
      }
    } catch (error) {
      if (this.over) throw this.over;
      throw late.signal.aborted ? this.#error("reach", this.#cause) : error;
    } finally {
      stop();
    }
  }

  async #probe(): Promise<void> {
    const { clock, timeout } = this.#options;
    for (let tries = 0; !this.over; tries++) {
      try {
        await sleep(clock, pause(tries, timeout), this.ending);
        await this.#store.renew();
        break;
      } catch (error) {
        if (error instanceof SessionGone) this.#options.lose();
        this.#cause = error;
      }
    }
    this.#restored?.resolve();
    this.#restored = undefined;
    if (!this.over) this.#options.restored();
  }

  #error(verb: string, cause: unknown): CoordError {
    if (cause instanceof Interrupted && cause.cause instanceof CapacityError) return cause.cause;
    const { driver } = this.#options;
    return new ConnectionError(`Cannot ${verb} ${driver} at "${this.#store.location}": ${reasonOf(cause)}`, {
      driver,
      cause: cause instanceof Interrupted ? cause.cause ?? cause : cause,
    });
  }
}
