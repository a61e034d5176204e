import { CapacityError, ConnectionError, CoordError } from "../../core/errors.ts";
import { sleep } from "../../internal/clock.ts";
import { reasonOf, refusalOf } from "../../internal/reason.ts";
import { type Endpoint, isSame, type Server } from "./endpoint.ts";
import { Interrupted, Link } from "./link.ts";
import { isPromise, type Replication } from "./replication.ts";
import type { Script } from "./script.ts";
import type { Caller, Wire, WireOptions } from "./wire.ts";

/** One link after the other: calls wait for the next one, and are sent again, until their deadline. */
export class Connection implements Wire {
  readonly #endpoint: Endpoint;
  readonly #options: WireOptions;
  readonly #listeners = new Map<string, Set<() => void>>();
  readonly #ending = new AbortController();
  #link: Link | undefined;
  #restored = Promise.withResolvers<void>();
  /** Of the link, or the last one. */
  #server: Server | undefined;
  #former: string | undefined;
  #cause: unknown;
  #tries = 0;
  #since = 0;

  constructor(endpoint: Endpoint, options: WireOptions) {
    this.#endpoint = endpoint;
    this.#options = options;
    // Nobody may be waiting when it rejects.
    this.#restored.promise.catch(() => {});
  }

  async start(): Promise<void> {
    try {
      await this.#connect(this.#options.timeout);
    } catch (cause) {
      throw this.#unreachable(cause);
    }
  }

  /** Connects for the first time, for as long as that takes. */
  begin(): void {
    this.start().catch((error: unknown) => {
      this.#cause = error instanceof Error ? error.cause : error;
      this.#options.suspended();
      // It ends with the connection and rejects never.
      void this.#restore();
    });
  }

  isUp(): boolean {
    return this.#link !== undefined;
  }

  get timeout(): number {
    return this.#options.timeout;
  }

  async call(script: Script, key: string, args: readonly string[], caller?: Caller): Promise<unknown> {
    const link = this.#link;
    let budget = caller?.budget ?? this.#options.timeout;
    if (link) {
      try {
        return await this.#run(link, script, key, args);
      } catch (error) {
        this.#interrupted(link, error, caller);
        budget /= 2;
      }
    }
    return await this.#retry((next) => this.#run(next, script, key, args), caller, budget);
  }

  #run(link: Link, script: Script, key: string, args: readonly string[]): Promise<unknown> {
    const { replication } = this.#endpoint;
    const answer = link.run(script, key, args);
    return replication ? this.#confirmed(link, script, { answer, ...replication }) : answer;
  }

  /** An answer once enough replicas have what it promises. */
  async #confirmed(
    link: Link,
    script: Script,
    { answer, ...replication }: Replication & { readonly answer: Promise<unknown> },
  ): Promise<unknown> {
    if (isPromise(script, await answer)) {
      const limit = Math.min(replication.limit, this.#options.timeout / 4);
      await link.replicated({ ...replication, limit });
    }
    return await answer;
  }

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

  async subscribed(channel: string): Promise<void> {
    await this.#retry((link) => link.subscribe(channel));
  }

  async scan(pattern: string): Promise<string[]> {
    return await this.#retry((link) => link.scan(pattern));
  }

  async confirm(): Promise<void> {
    const link = this.#link;
    if (!link || !this.#endpoint.moves) return;
    // Where nobody can tell, it is as before.
    const server = await this.#locate(this.#options.timeout / 2).catch(() => this.#server);
    if (isSame(server, this.#server) || this.#link !== link) return;
    const cause = new Error("another server is the master now");
    link.destroy(cause);
    this.#closed(link, cause);
  }

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
      throw error instanceof CoordError ? error : this.#refused(error);
    }
    caller?.repeated?.();
    link.destroy(error.cause);
    this.#closed(link, error.cause);
  }

  #locate(limit: number): Promise<Server> {
    const { clock } = this.#options;
    return this.#endpoint.locate({ clock, limit, signal: this.#ending.signal }, this.#server);
  }

  async #connect(limit: number): Promise<void> {
    const { clock } = this.#options;
    const start = clock.now();
    const server = await this.#locate(limit / 2);
    const link = await Link.open(server, this.#endpoint, {
      clock,
      // Where the event loop stood still meanwhile, the server is not to blame.
      limit: Math.max(start + limit - clock.now(), limit / 2),
      // The other half of an operation's time is for another link.
      silence: this.#options.timeout / 2,
      signal: this.#ending.signal,
      isCluster: this.#endpoint.isCluster,
      channels: [this.#options.channel, ...this.#listeners.keys()],
      former: isSame(server, this.#server) ? this.#former : undefined,
      message: (channel, text) => this.#message(channel, text),
      closed: (broken, cause) => this.#closed(broken, cause),
    });
    // Either may have happened between the link's readiness and now.
    if (!link.open || this.#ending.signal.aborted) {
      link.destroy(undefined);
      throw new Error("the server closed the connection");
    }
    this.#link = link;
    this.#server = server;
    this.#former = link.identity;
    this.#since = clock.now();
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
    if (!signal.aborted) this.#options.restored(true);
  }

  #unreachable(cause: unknown): Error {
    return this.#error("reach", cause, refusalOf(cause));
  }

  #refused(cause: unknown): Error {
    return this.#error(limitOf(cause) === "maxmemory" ? "store more in" : "use", cause);
  }

  #error(verb: string, cause: unknown, why = reasonOf(cause)): Error {
    if (this.#ending.signal.aborted) return this.#ending.signal.reason;
    const message = `Cannot ${verb} ${this.#endpoint.shown}: ${why}`;
    const [limit, options] = [limitOf(cause), { driver: "redis", cause }];
    return limit === undefined
      ? new ConnectionError(message, options)
      : new CapacityError(`${message}; raise ${limit}`, options);
  }
}

/** The limit that a server says is reached; undefined: it says something else. */
function limitOf(cause: unknown): string | undefined {
  const said = cause instanceof Error ? cause.message : "";
  if (said.startsWith("OOM")) return "maxmemory";
  return said.startsWith("ERR max number of clients reached") ? "maxclients" : undefined;
}
