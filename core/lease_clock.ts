import type { Clock } from "../driver.ts";

/** In ms: the wall clock counts in whole ones, so that a time between two readings may seem that much longer. */
const ROUNDING = 1;

/** A moment on both clocks. */
export interface Stamp {
  readonly now: number;
  readonly wall: number;
}

/** Reads both clocks. */
export function stamp(clock: Clock): Stamp {
  return { now: clock.now(), wall: clock.wall() };
}

/**
 * How long a session is certain to live without another answer: counted from when the last good renewal was *sent*.
 * It is over when either clock says so, since a suspended machine stops the monotonic one.
 */
export class LeaseClock {
  readonly #clock: Clock;
  readonly #span: number;
  #renewed: Stamp;

  /** @param span ms from a renewal to the end: the ttl without the margin */
  constructor(clock: Clock, span: number, opened: Stamp) {
    this.#clock = clock;
    this.#span = span;
    this.#renewed = opened;
  }

  /** Notes a good renewal that was sent at `sent`. */
  renew(sent: Stamp): void {
    if (sent.now > this.#renewed.now) this.#renewed = sent;
  }

  /** Ms since the last good renewal was sent, by the clock that went on further. */
  elapsed(): number {
    const [now, wall] = [this.#clock.now() - this.#renewed.now, this.#clock.wall() - this.#renewed.wall];
    return wall - now > ROUNDING ? wall : now;
  }

  /** Ms that are left; zero or less when it is over. */
  left(): number {
    return this.#span - this.elapsed();
  }
}
