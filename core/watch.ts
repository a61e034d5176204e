import type { Session } from "../driver.ts";
import { sleep } from "../internal/clock.ts";
import { SessionLostError } from "./errors.ts";
import type { Host } from "./host.ts";
import { oneByOne } from "./one_by_one.ts";

/** Pause before a watch that failed is set up again, in ms. */
const RETRY = 100;

/** What has been delivered, and what is still to be. */
export interface View<S, E> {
  /** Takes the first state, which nothing is delivered for. */
  reset(state: S): void;
  /** Takes a later state, in place of any that was not delivered. */
  update(state: S): void;
  /** Nothing can follow the latest state. */
  readonly final: boolean;
  /** The next thing to deliver; `last`: nothing follows. */
  next(): { event: E; last: boolean } | undefined;
}

/** Starts one read of a session's states: the first is now. */
export type Read<S> = (session: Session, signal: AbortSignal) => AsyncIterable<S>;

/**
 * A watch over whole states. The reader is served from the difference of what it has seen and the latest state, so
 * a slow one costs two states, and a new session continues where the old one ended.
 */
export class LevelWatch<S, E> {
  readonly #host: Host;
  readonly #view: View<S, E>;
  readonly #read: Read<S>;
  readonly #ended = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #wake: () => void = () => {};
  #attached = false;
  #iterated = false;

  private constructor(host: Host, view: View<S, E>, read: Read<S>) {
    this.#host = host;
    this.#view = view;
    this.#read = read;
  }

  /** Resolves once the first state was read, rejects if that fails. */
  static async open<S, E>(
    host: Host,
    view: View<S, E>,
    read: Read<S>,
    signal: AbortSignal | undefined,
  ): Promise<LevelWatch<S, E>> {
    signal?.throwIfAborted();
    const watch = new LevelWatch(host, view, read);
    const first = Promise.withResolvers<void>();
    const until = host.clock.now() + host.timeout;
    watch.#running = watch.#run(first, until);
    const end = () => void watch.end();
    signal?.addEventListener("abort", end, { once: true });
    host.closing.addEventListener("abort", end, { once: true });
    watch.#ended.signal.addEventListener("abort", () => {
      signal?.removeEventListener("abort", end);
      host.closing.removeEventListener("abort", end);
      first.reject(signal?.aborted ? signal.reason : host.closing.reason);
      watch.#wake();
    }, { once: true });
    await host.inTime(first.promise, until, () => watch.#ended.abort());
    return watch;
  }

  /** False while disconnected. */
  get fresh(): boolean {
    return this.#attached && this.#host.state === "connected";
  }

  /** The one iterator. */
  iterate(): AsyncIterator<E> {
    if (this.#iterated) throw new TypeError("Cannot iterate the watch again: it has one iterator");
    this.#iterated = true;
    return {
      next: oneByOne(() => this.#next()),
      return: async () => {
        await this.end();
        return { done: true, value: undefined };
      },
    };
  }

  /** Ends the watch, and with it the iteration. */
  async end(): Promise<void> {
    this.#ended.abort();
    await this.#running;
  }

  async #next(): Promise<IteratorResult<E>> {
    while (!this.#ended.signal.aborted) {
      const found = this.#view.next();
      if (found?.last) void this.end();
      if (found) return { done: false, value: found.event };
      const woken = Promise.withResolvers<void>();
      this.#wake = woken.resolve;
      await woken.promise;
    }
    return { done: true, value: undefined };
  }

  async #run(first: PromiseWithResolvers<void>, until: number): Promise<void> {
    const { signal } = this.#ended;
    const { clock } = this.#host;
    for (let started = false; !signal.aborted && !this.#view.final;) {
      try {
        const tenure = await (started ? this.#host.nextTenure(signal) : this.#host.tenure(until));
        for await (const state of this.#read(tenure.session, AbortSignal.any([signal, tenure.signal]))) {
          if (started) this.#view.update(state);
          else this.#view.reset(state);
          started = this.#attached = true;
          first.resolve();
          this.#wake();
          if (this.#view.final) break;
        }
      } catch (error) {
        // As every call that asks, on the next session, but within one deadline.
        const isOver = !started && !(error instanceof SessionLostError && clock.now() < until);
        if (isOver) {
          first.reject(error);
          return this.#ended.abort();
        }
        await sleep(clock, RETRY, signal).catch(() => {});
      }
      this.#attached = false;
    }
  }
}
