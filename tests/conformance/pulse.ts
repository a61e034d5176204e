/** Between two beats, in ms. */
const INTERVAL = 25;

/** Notices when the event loop stood still, because the machine did or somebody blocked it. */
export class Pulse {
  #last = performance.now();
  #longest = 0;
  readonly #timer = setInterval(() => this.#beat(), INTERVAL);

  /** The longest pause so far, in ms, the present one included. */
  longest(): number {
    this.#beat();
    return this.#longest;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #beat(): void {
    const now = performance.now();
    this.#longest = Math.max(this.#longest, now - this.#last - INTERVAL);
    this.#last = now;
  }
}
