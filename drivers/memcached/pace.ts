import type { Clock } from "../../driver.ts";

/** The longest pause of the next in line, in ms. */
const NEXT = 30;
/** The longest pause of those behind it. */
const BEHIND = 250;
/** The longest pause of who only watches. */
const WATCHER = 500;

/** How long a waiter pauses between two looks: the server tells nobody anything. */
export class LinePace {
  readonly #clock: Clock;
  readonly #begin: number;
  #place = -1;
  #moved: number;
  #advances = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#begin = this.#moved = clock.now();
  }

  /** @param place how many turns are before this one's: 0 for the next in line */
  pause(place: number): number {
    const now = this.#clock.now();
    if (place !== this.#place) {
      if (this.#place > place) this.#advances += this.#place - place;
      this.#place = place;
      this.#moved = now;
    }
    const since = now - this.#moved;
    // Who is next looks the oftener the shorter it has been so: short holds are handed on soon, long ones cost little.
    if (place === 0) return jitter(clamp(since / 10, 1, NEXT));
    const turn = this.#advances === 0 ? 0 : (this.#moved - this.#begin) / this.#advances;
    return jitter(clamp(0.7 * place * Math.max(turn, since), 2, BEHIND));
  }
}

/** How long a watcher pauses: soon after a change there is often another. */
export class WatchPace {
  #pause = 4;

  pause(): number {
    this.#pause = Math.min(this.#pause * 1.5, WATCHER);
    return jitter(this.#pause);
  }
}

function clamp(ms: number, least: number, most: number): number {
  return Math.min(Math.max(ms, least), most);
}

/** All who wait for one thing must not ask at one moment. */
function jitter(ms: number): number {
  return ms * (0.85 + 0.3 * Math.random());
}
