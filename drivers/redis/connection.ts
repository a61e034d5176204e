import { ConnectionError } from "../../core/errors.ts";
import type { Clock } from "../../driver.ts";
import { sleep } from "../../internal/clock.ts";
import { type Endpoint, Interrupted, Link } from "./link.ts";
import type { Script } from "./script.ts";

/** What a connection is made with. */
export interface ConnectionOptions {
  readonly clock: Clock;
  /** The deadline of one call, in ms. */
  readonly timeout: number;
  /** The channel that is listened to all the time. */
  readonly channel: string;
  message(text: string): void;
  suspended(): void;
  restored(): void;
}

/** Who calls, where it matters what became of earlier tries. */
export interface Caller {
  /** Whether the call is no longer wanted. */
  stopped?(): boolean;
  /** The request is sent again, since it is unknown whether it was carried out. */
  repeated?(): void;
}

/** One link after the other: calls wait for the next one, and are sent again, until their deadline. */
export class Connection {
  readonly #endpoint: Endpoint;
  readonly #options: ConnectionOptions;
  readonly #listeners = new Map<string, Set<() => void>>();
  readonly #ending = new AbortController();
  #link: Link | undefined;
  #restored = Promise.withResolvers<void>();
  #former: string | undefined;
  #cause: unknown;
  #tries = 0;
  #since = 0;

  constructor(endpoint: Endpoint, options: ConnectionOptions) {
    this.#endpoint = endpoint;
    this.#options = options;
    // Nobody may be waiting when it rejects.
    this.#restored.promise.catch(() => {});
  }

  /** Connects for the first time; rejects with `ConnectionError` at once when that is refused. */
  async start(): Promise<void> {
    try {
      await this.#connect(this.#options.timeout);
    } catch (cause) {
      throw this.#unreachable(cause);
    }
  }

  /** Whether there is a link now. */
  get up(): boolean {
    return this.#link !== undefined;
  }

  /** The deadline of one call, in ms. */
  get timeout(): number {
    return this.#options.timeout;
  }

  /** Runs a script until it is answered, at most for the time-out. */
  async call(script: Script, key: string, args: readonly string[], caller?: Caller): Promise<unknown> {
    const link = this.#link;
    if (!link) return await this.#retry((next) => next.run(script, key, args), caller);
    try {
      return await link.run(script, key, args);
    } catch (error) {
      this.#interrupted(link, error, caller);
    }
    return await this.#retry((next) => next.run(script, key, args), caller, this.#options.timeout / 2);
  }

  /** Calls `wake` after every message of the channel; `subscribed()` tells from when on. */
  listen(channel: string, wake: () => void): () => void {
    const wakes = this.#listeners.get(channel) ?? new Set();
    this.#listeners.set(channel, wakes.add(wake));
    return () => {
      wakes.delete(wake);
      if (wakes.size > 0 || this.#listeners.get(channel) !== wakes) return;
      this.#listeners.delete(channel);
      this.#link?.unsubscribe(channel);
    };
  }

  /** Settles once the messages of a channel that is listened to will come. */
  async subscribed(channel: string): Promise<void> {
    await this.#retry((link) => link.subscribe(channel));
  }

  /** Disconnects for good: all calls, now and later, reject with this error. */
  end(error: Error): void {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort(error);
    this.#link?.destroy(error);
    this.#link = undefined;
    this.#restored.reject(error);
  }

  async #retry<T>(
    send: (link: Link) => Promise<T>,
    caller?: Caller,
    budget = this.#options.timeout,
  ): Promise<T> {
    const late = Promise.withResolvers<never>();
    const stop = this.#options.clock.after(budget, () => late.reject(this.#unreachable(this.#cause)));
    late.promise.catch(() => {});
    try {
      for (;;) {
        this.#ending.signal.throwIfAborted();
        const link = this.#link;
        if (!link) {
          await Promise.race([this.#restored.promise, late.promise]);
          continue;
        }
        if (caller?.stopped?.()) throw this.#unreachable(new Error("the call was given up"));
        try {
          return await Promise.race([send(link), late.promise]);
        } catch (error) {
          this.#interrupted(link, error, caller);
        }
      }
    } finally {
      stop();
    }
  }

  /** Gives a broken link up; throws if it was not the link that failed. */
  #interrupted(link: Link, error: unknown, caller: Caller | undefined): void {
    if (!(error instanceof Interrupted)) {
      throw error instanceof ConnectionError ? error : this.#refused(error);
    }
    caller?.repeated?.();
    link.destroy(error.cause);
    this.#closed(link, error.cause);
  }

  async #connect(limit: number): Promise<void> {
    const link = await Link.open(this.#endpoint, {
      clock: this.#options.clock,
      limit,
      signal: this.#ending.signal,
      channels: [this.#options.channel, ...this.#listeners.keys()],
      former: this.#former,
      message: (channel, text) => this.#message(channel, text),
      closed: (broken, cause) => this.#closed(broken, cause),
    });
    // Either may have happened between the link's readiness and now.
    if (!link.open || this.#ending.signal.aborted) {
      link.destroy(undefined);
      throw new Error("the server closed the connection");
    }
    this.#link = link;
    this.#former = link.identity;
    this.#since = this.#options.clock.now();
    this.#restored.resolve();
  }

  #message(channel: string, text: string): void {
    if (channel === this.#options.channel) return this.#options.message(text);
    for (const wake of this.#listeners.get(channel) ?? []) wake();
  }

  #closed(link: Link, cause: unknown): void {
    if (this.#link !== link) return;
    this.#link = undefined;
    this.#cause = cause;
    this.#restored = Promise.withResolvers();
    this.#restored.promise.catch(() => {});
    if (this.#options.clock.now() - this.#since > 250) this.#tries = 0;
    this.#options.suspended();
    // It ends with the connection and rejects never.
    void this.#restore();
  }

  async #restore(): Promise<void> {
    const { clock, timeout } = this.#options;
    const signal = this.#ending.signal;
    while (!signal.aborted && !this.#link) {
      // Not all clients of a server that went away may come back at one moment.
      const delay = Math.min(20 * 2 ** this.#tries++, 1000, timeout / 4) * Math.random();
      try {
        await sleep(clock, delay, signal);
        await this.#connect(timeout / 2);
      } catch (error) {
        this.#cause = error;
      }
    }
    if (!signal.aborted) this.#options.restored();
  }

  #unreachable(cause: unknown): Error {
    return this.#error("reach", cause);
  }

  #refused(cause: unknown): Error {
    return this.#error("use", cause);
  }

  #error(verb: string, cause: unknown): Error {
    if (this.#ending.signal.aborted) return this.#ending.signal.reason;
    const { host, port } = this.#endpoint;
    const why = cause instanceof Error ? cause.message : "no answer in time";
    return new ConnectionError(`Cannot ${verb} redis at "${host}:${port}": ${why}`, {
      driver: "redis",
      cause,
    });
  }
}
