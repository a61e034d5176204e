import type { Clock } from "../driver.ts";
import { ConnectionError } from "./errors.ts";

/**
 * A call is given up so many ms after its deadline: the driver, which knows why, has the first word, and after a stall
 * of the event loop the answer may lie in the socket.
 */
const GRACE = 100;

interface Call {
  /** By the clock. */
  readonly until: number;
  giveUp(): void;
}

/** The calls under way, none of which outlives its deadline, whatever the driver does; one timer for all. */
export class Deadlines {
  readonly #clock: Clock;
  readonly #driver: string;
  readonly #unanswered: () => void;
  readonly #calls = new Set<Call>();
  /** When the timer looks, by the clock. */
  #next = Infinity;
  #stop: () => void = () => {};
  #isClosed = false;

  /** @param unanswered called whenever a call is given up */
  constructor(clock: Clock, driver: string, unanswered: () => void) {
    this.#clock = clock;
    this.#driver = driver;
    this.#unanswered = unanswered;
  }

  /**
   * Settles as the call does, or rejects soon after its deadline.
   * @param until by the clock
   * @param gaveUp called when it does, so that what comes of the call can be undone
   * @throws {ConnectionError} after the deadline
   */
  inTime<T>(call: Promise<T>, until: number, gaveUp?: () => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const since = this.#clock.now();
      const pending: Call = {
        until,
        giveUp: () => {
          reject(this.#late(until - since));
          gaveUp?.();
        },
      };
      this.#calls.add(pending);
      if (until < this.#next) this.#arm(until);
      call.then((result) => {
        this.#settle(pending);
        resolve(result);
      }, (error: unknown) => {
        this.#settle(pending);
        reject(error);
      });
    });
  }

  /** Looks for no longer than something is under way: most of that has just ended with its session. */
  close(): void {
    this.#isClosed = true;
    this.#rest();
  }

  #settle(call: Call): void {
    this.#calls.delete(call);
    if (this.#isClosed) this.#rest();
  }

  #rest(): void {
    if (this.#calls.size > 0) return;
    this.#stop();
    this.#next = Infinity;
  }

  #arm(until: number): void {
    this.#stop();
    this.#next = until;
    this.#stop = this.#clock.after(until - this.#clock.now(), () => {
      const now = this.#clock.now();
      this.#stop = this.#clock.after(GRACE, () => this.#expire(now));
    });
  }

  /** Gives up those whose deadline was before then. */
  #expire(then: number): void {
    this.#next = Infinity;
    let next = Infinity;
    const late: Call[] = [];
    for (const call of this.#calls) {
      if (call.until > then) next = Math.min(next, call.until);
      else if (this.#calls.delete(call)) late.push(call);
    }
    // Whoever hears of it finds the state that it is.
    if (late.length > 0) this.#unanswered();
    for (const call of late) call.giveUp();
    if (next < Infinity) this.#arm(next);
  }

  #late(ms: number): ConnectionError {
    return new ConnectionError(`Cannot know the outcome: no answer within ${Math.round(ms)} ms`, {
      driver: this.#driver,
    });
  }
}
