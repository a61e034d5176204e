import { type Bells, HOLDS } from "./store.ts";

/** So many topics are remembered; of one that was forgotten it is not known whether it was rung. */
const REMEMBERED = 1000;

/** The news of one session, and who waits for them. */
export class BellBoard implements Bells {
  readonly #holds: () => void;
  readonly #waiting = new Map<string, Set<() => void>>();
  /** The count at the last ring of each topic, the latest last. */
  readonly #rung = new Map<string, number>();
  #count = 0;
  /** No topic that is not remembered was rung after so many rings. */
  #forgotten = 0;

  /** @param holds called when a hold or a membership may be gone */
  constructor(holds: () => void) {
    this.#holds = holds;
  }

  get count(): number {
    return this.#count;
  }

  ring(topic?: string): void {
    if (topic === HOLDS) return this.#holds();
    this.#count++;
    if (topic === undefined) this.#ringAll();
    else this.#ringOne(topic);
  }

  async changed(topic: string, at: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if ((this.#rung.get(topic) ?? this.#forgotten) > at) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const abort = () => reject(signal.reason);
    const waiting = this.#waiting.get(topic) ?? new Set();
    this.#waiting.set(topic, waiting.add(resolve));
    signal.addEventListener("abort", abort, { once: true });
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", abort);
      waiting.delete(resolve);
      if (waiting.size === 0 && this.#waiting.get(topic) === waiting) this.#waiting.delete(topic);
    }
  }

  #ringAll(): void {
    this.#rung.clear();
    this.#forgotten = this.#count;
    for (const waiting of this.#waiting.values()) for (const wake of waiting) wake();
  }

  #ringOne(topic: string): void {
    this.#rung.delete(topic);
    this.#rung.set(topic, this.#count);
    for (const [oldest, at] of this.#rung) {
      if (this.#rung.size <= REMEMBERED) break;
      this.#rung.delete(oldest);
      this.#forgotten = at;
    }
    for (const wake of this.#waiting.get(topic) ?? []) wake();
  }
}
