import { ConnectionError, SessionLostError } from "../../core/errors.ts";
import type { Clock } from "../../driver.ts";
import { sleep } from "../../internal/clock.ts";

/** The longest delay of one message when a seed is given, in ms. */
const LONGEST_DELAY = 5;

/** What a link is made of. */
export interface LinkOptions {
  readonly clock: Clock;
  readonly random: (() => number) | undefined;
  readonly timeout: number;
  note(note: "suspended" | "reconnected"): void;
  /** Called once, when the link is closed. */
  closed(): void;
}

/** The connection of one session: keeps messages in order, may delay them, and may be cut. */
export class Link {
  readonly #options: LinkOptions;
  readonly #closed = new AbortController();
  #healed: PromiseWithResolvers<void> | undefined;
  #out: Promise<void> = Promise.resolve();
  #in: Promise<void> = Promise.resolve();
  /** News on its way. */
  #coming = 0;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  /** How long a request may take, in ms. */
  get timeout(): number {
    return this.#options.timeout;
  }

  /** Whether anything goes through. */
  get whole(): boolean {
    return this.#healed === undefined && !this.#closed.signal.aborted;
  }

  cut(): void {
    this.#healed ??= Promise.withResolvers();
    this.#options.note("suspended");
  }

  heal(): void {
    this.#healed?.resolve();
    this.#healed = undefined;
    this.#options.note("reconnected");
  }

  /** Nothing goes through any more. */
  close(): void {
    if (this.#closed.signal.aborted) return;
    this.#options.closed();
    this.#closed.abort(new SessionLostError("Cannot reach the session: it was closed", { driver: "zake" }));
  }

  /**
   * Carries a request to the world and its answer back.
   * @throws {ConnectionError} when the link stays cut for longer than the deadline; nothing was carried out then
   */
  async request<T>(call: () => T): Promise<T> {
    this.#closed.signal.throwIfAborted();
    if (this.#healed) await this.#waitForHealing(this.#healed.promise);
    if (this.#options.random) await (this.#out = this.#out.then(() => this.#delay()));
    this.#closed.signal.throwIfAborted();
    return call();
  }

  /** Carries news from the world, in order, when the link is whole. */
  push(news: () => void): void {
    if (!this.#healed && !this.#options.random && this.#coming === 0) return news();
    this.#coming++;
    this.#in = this.#in.then(async () => {
      while (this.#healed) await this.#healed.promise;
      await this.#delay();
      this.#coming--;
      if (!this.#closed.signal.aborted) news();
    });
  }

  async #waitForHealing(healed: Promise<void>): Promise<void> {
    const over = new AbortController();
    const close = () => over.abort();
    this.#closed.signal.addEventListener("abort", close, { once: true });
    const late = sleep(this.#options.clock, this.#options.timeout, over.signal).then(() => {
      throw new ConnectionError("Cannot reach the backend: the member is partitioned", { driver: "zake" });
    }, () => {});
    await Promise.race([healed, late]);
    over.abort();
    this.#closed.signal.removeEventListener("abort", close);
  }

  async #delay(): Promise<void> {
    const { clock, random } = this.#options;
    // A link that is closed meanwhile delays nothing.
    if (random) await sleep(clock, random() * LONGEST_DELAY, this.#closed.signal).catch(() => {});
  }
}
