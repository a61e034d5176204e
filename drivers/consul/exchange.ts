import { EventEmitter } from "node:events";
import type { Clock } from "../../driver.ts";
import { Interrupted } from "../../internal/tree/store.ts";
import { type Response, responseOf } from "./answer.ts";

/** A request. */
export interface Request {
  readonly method: "GET" | "PUT";
  readonly path: string;
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** The client's general way to send: its methods cannot send all that is needed, nor do their types know of `ctx`. */
export interface Client {
  _request(request: Request & { name: string; type: "json"; ctx: EventEmitter }): Promise<Response>;
}

/** How long an exchange may take in ms, and what else ends it. */
export interface Bounds {
  readonly limit: number;
  readonly signal?: AbortSignal | undefined;
}

/** After a stall of the event loop the answer may lie in the socket: for so many ms more it may be read. */
const GRACE = 5;

/** One request under way, which can be ended at any time. Its time begins with its making. */
export class Exchange implements Disposable {
  readonly #ctx = new EventEmitter();
  readonly #signal: AbortSignal | undefined;
  #stop: () => void;
  #cause: Error | undefined;
  #isCancelled = false;

  constructor(clock: Clock, { limit, signal }: Bounds) {
    const late = () => this.#cut(new Error(`no answer within ${Math.round(limit)} ms`));
    this.#stop = clock.after(limit, () => this.#stop = clock.after(GRACE, late));
    this.#signal = signal;
    signal?.addEventListener("abort", this.#abort, { once: true });
  }

  /** Rejects with `Interrupted` when there will be no answer. */
  async send(client: Client, request: Request): Promise<Response> {
    try {
      if (this.#cause) throw this.#cause;
      const name = `${request.method} ${request.path}`;
      return await client._request({ ...request, name, type: "json", ctx: this.#ctx });
    } catch (error) {
      const response = responseOf(error);
      if (response) return response;
      const cause = this.#cause ?? error;
      throw new Interrupted(describe(cause), { cause });
    }
  }

  /** Whether it was ended from here, which says nothing about the server. */
  get isCancelled(): boolean {
    return this.#isCancelled;
  }

  /** Ends it, and closes its connection. */
  cancel(cause: Error): void {
    this.#isCancelled = true;
    this.#cut(cause);
  }

  [Symbol.dispose](): void {
    this.#stop();
    this.#signal?.removeEventListener("abort", this.#abort);
  }

  #abort = (): void => this.cancel(new Error("the wait was cancelled"));

  #cut(cause: Error): void {
    this.#cause ??= cause;
    this.#ctx.emit("cancel");
  }
}

/** Why there will be no answer. A server that has too many connections closes further ones without a word. */
function describe(cause: unknown): string {
  if (!(cause instanceof Error)) return "the connection broke";
  if (!("code" in cause && /^(ECONNRESET|EPIPE)$/.test(String(cause.code)))) return cause.message;
  return "the server closed the connection: it may be ending, or it wants TLS, or none, or a certificate of the " +
    "client, or has no connection left for this address: raise http_max_conns_per_client";
}
