import { checkDuration } from "../../core/names.ts";
import type { Clock } from "../../driver.ts";

/**
 * A clock that stands still until a test moves it.
 *
 * @example
 * ```ts
 * import { getCoordinator } from "@tooz/coord";
 * import { VirtualClock, zake } from "@tooz/coord/zake";
 *
 * const clock = new VirtualClock();
 * await using coord = await getCoordinator(zake("test", { clock }));
 * await clock.advance(60_000); // A minute of heartbeats, in no time.
 * console.assert(coord.state === "connected");
 * ```
 */
export class VirtualClock implements Clock {
  readonly #timers = new Set<{ readonly at: number; readonly fn: () => void }>();
  #now = 0;
  #wall: number;

  /**
   * Makes a clock.
   * @param wall the wall clock's reading at the start, in ms since 1970
   */
  constructor(wall = 0) {
    this.#wall = wall;
  }

  /** Timers that have not fired: 0 when everything was closed. */
  get pending(): number {
    return this.#timers.size;
  }

  /** The monotonic reading, in ms; 0 at the start. */
  now(): number {
    return this.#now;
  }

  /** The wall clock's reading, in ms since 1970. */
  wall(): number {
    return this.#wall;
  }

  /** Calls `fn` once `advance()` has moved the clock by `ms`; the returned function cancels. */
  after(ms: number, fn: () => void): () => void {
    const timer = { at: this.#now + Math.max(ms, 0), fn };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /**
   * Lets time pass: fires what falls due, in order, and lets what it started run before the next.
   * @throws {RangeError} when `ms` is not finite and from 0
   */
  async advance(ms: number): Promise<void> {
    const until = this.#now + checkDuration("time to let pass", ms);
    await settle();
    for (let next = this.#next(until); next; next = this.#next(until)) {
      this.#timers.delete(next);
      this.#moveTo(Math.max(next.at, this.#now));
      next.fn();
      await settle();
    }
    this.#moveTo(until);
  }

  /**
   * Stalls the event loop: time passes on both clocks, and nothing fires before the next `advance()`.
   * @throws {RangeError} when `ms` is not finite and from 0
   */
  stall(ms: number): void {
    this.#moveTo(this.#now + checkDuration("time to let pass", ms));
  }

  /** Suspends the machine: the wall clock goes on, the monotonic clock and all timers stand still. */
  suspend(ms: number): void {
    this.#wall += ms;
  }

  #next(until: number): { readonly at: number; readonly fn: () => void } | undefined {
    let found: { readonly at: number; readonly fn: () => void } | undefined;
    for (const timer of this.#timers) {
      if (timer.at <= until && !(found && found.at <= timer.at)) found = timer;
    }
    return found;
  }

  #moveTo(now: number): void {
    this.#wall += now - this.#now;
    this.#now = now;
  }
}

/** One turn of the event loop: all promises that can go on have gone on. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
