import type { Clock } from "../../driver.ts";
import { Cancelled, Interrupted } from "../../internal/sql/store.ts";
import { fullFrom } from "./room.ts";
import type { Link, PostgresqlQuery, Source } from "./source.ts";

/** The server's refusals that mean that the connection is over, or never was. */
const ENDED = /^(08...|57P0[123]|XX000)$/;
const CANCELLED = "57014";
const LOCK_TIMEOUT = "55P03";

/** The server has waited for a lock as long as it should, and the wait goes on. */
export class SliceOver extends Error {}

/** What is asked more than once: the server remembers it by its name. */
export interface Prepared {
  readonly name: string;
  readonly text: string;
}

/** Names a statement for the server. */
export function prepared(name: string, text: string): Prepared {
  return { name: `coord_${name}`, text };
}

/** What a connection is opened with. */
export interface ConnectionOptions {
  readonly clock: Clock;
  /** The deadline for opening it, in ms. */
  readonly limit: number;
  /** Cancels the opening only. */
  readonly signal?: AbortSignal;
  /** Called once when it has ended, unless it was destroyed. */
  ended?(cause: Error): void;
  notified?(channel: string, payload: string): void;
}

/** One connection, on which one thing is asked after the other. It is never repaired. */
export class Connection {
  readonly #link: Link;
  readonly #clock: Clock;
  readonly #limit: number;
  readonly #queue: (() => void)[] = [];
  #isBusy = false;
  #end: Error | undefined;

  private constructor(link: Link, options: ConnectionOptions) {
    this.#link = link;
    this.#clock = options.clock;
    this.#limit = options.limit;
    const ended = (cause: Error) => {
      if (this.#end) return;
      this.#end = cause;
      link.destroy();
      options.ended?.(cause);
    };
    link.client.on("error", (error) => ended(error instanceof Error ? error : new Error(String(error))));
    link.client.on("end", () => ended(new Error("the server has closed the connection")));
    link.client.on("notification", (message) => {
      // All that the client says of a message is text.
      const { channel, payload = "" } = message as { channel: string; payload?: string };
      options.notified?.(channel, payload);
    });
  }

  /** Rejects with `Interrupted` where nobody could be reached, with `Full` where there is no connection left. */
  static async open(source: Source, options: ConnectionOptions): Promise<Connection> {
    const late = new AbortController();
    const stop = options.clock.after(options.limit, () => {
      late.abort(new Interrupted(`no answer from ${source.location} within ${Math.round(options.limit)} ms`));
    });
    const signal = options.signal ? AbortSignal.any([late.signal, options.signal]) : late.signal;
    const { clock, limit } = options;
    try {
      return new Connection(await source.connect({ clock, limit, signal }), options);
    } catch (error) {
      throw signal.aborted ? signal.reason : classify(error, undefined);
    } finally {
      stop();
    }
  }

  get isOpen(): boolean {
    return this.#end === undefined;
  }

  /** The server's process as the client was told when it connected. */
  get pid(): number | null | undefined {
    return this.#link.client.processID;
  }

  /** Asks; the answer takes as long as it takes. */
  ask(statement: Prepared | string, values: unknown[] = []): Promise<unknown[][]> {
    if (!this.#isBusy) return this.#send(statement, values);
    return new Promise<void>((turn) => this.#queue.push(turn)).then(() => this.#send(statement, values));
  }

  async #send(statement: Prepared | string, values: unknown[]): Promise<unknown[][]> {
    this.#isBusy = true;
    try {
      if (this.#end) throw this.#end;
      // The client takes values that are not there for a statement that may have several parts.
      const query: PostgresqlQuery = typeof statement === "string"
        ? { text: statement, ...(values.length > 0 ? { values } : {}), rowMode: "array" }
        : { name: statement.name, text: statement.text, values, rowMode: "array" };
      return (await this.#link.client.query(query)).rows;
    } catch (error) {
      throw classify(error, this.#end);
    } finally {
      const next = this.#queue.shift();
      if (next) next();
      else this.#isBusy = false;
    }
  }

  /** Asks what has an answer in time, or ends the connection. */
  async askSoon(statement: Prepared | string, values: unknown[] = []): Promise<unknown[][]> {
    const stop = this.#clock.after(this.#limit, () => this.destroy("it gave no answer in time"));
    try {
      return await this.ask(statement, values);
    } finally {
      stop();
    }
  }

  /** Disconnects at once and for good. */
  destroy(why = "it was closed"): void {
    if (this.#end) return;
    this.#end = new Error(why);
    this.#link.destroy();
  }
}

function classify(error: unknown, end: Error | undefined): Error {
  const { message = String(error), code = "" } = error as { message?: string; code?: string };
  const why = end?.message ?? (message || code);
  if (code === CANCELLED) return new Cancelled(why, { cause: error });
  if (code === LOCK_TIMEOUT) return new SliceOver(why, { cause: error });
  // What is no refusal of the server is a failure of the way to it.
  const isRefusal = /^[0-9A-Z]{5}$/.test(code) && !ENDED.test(code) && error instanceof Error;
  if (end === undefined && isRefusal) return fullFrom(error) ?? error;
  return new Interrupted(why, { cause: error });
}
