import type { Clock } from "../../driver.ts";
import { type Access, credentials } from "../../internal/access.ts";
import { Interrupted } from "../../internal/tree/store.ts";
import { authorityOf } from "../../internal/url.ts";
import { type Answer, Denied, readAnswer } from "./answer.ts";
import { type Clients, createClients, type Server } from "./clients.ts";
import { type Bounds, Exchange, type Request } from "./exchange.ts";

/** Where the servers or agents are. */
export interface Endpoint {
  readonly hosts: readonly Server[];
  /** The password is the ACL token. */
  readonly access: Access;
  readonly datacenter: string | undefined;
  /** How much earlier than the server a holder gives up, in ms. */
  readonly lockDelay: number;
}

/** Requests to one server, and to the next one after a failure. */
export class Link {
  /** The deadline of a request, in ms. */
  limit: number;
  readonly #clock: Clock;
  readonly #query: Readonly<Record<string, string>>;
  readonly #endpoint: Endpoint;
  readonly #asks = new Set<Exchange>();
  /** Each with the number of its server. */
  readonly #waits = new Map<Exchange, number>();
  readonly #ending = new AbortController();
  #clients: Promise<Clients> | undefined;
  #turn = 0;

  constructor(endpoint: Endpoint, { clock, limit }: { readonly clock: Clock; readonly limit: number }) {
    this.#clock = clock;
    this.limit = limit;
    this.#query = endpoint.datacenter === undefined ? {} : { dc: endpoint.datacenter };
    this.#endpoint = endpoint;
  }

  /** The server that the next request goes to. */
  get location(): string {
    return authorityOf(this.#endpoint.hosts[this.#turn] as Server); // An endpoint has one at least.
  }

  /** Sends a request that has `limit` ms, once; rejects with `Interrupted`, or with the server's refusal. */
  async ask(request: Request, limit: number = this.limit): Promise<Answer> {
    using exchange = new Exchange(this.#clock, { limit });
    this.#asks.add(exchange);
    const turn = this.#turn;
    try {
      return await this.#run(exchange, turn, request);
    } catch (error) {
      if (error instanceof Interrupted && !exchange.isCancelled) this.#leave(turn, error);
      throw error;
    } finally {
      this.#asks.delete(exchange);
    }
  }

  /** Sends a request that is answered after `limit` ms at the latest; rejects with the reason of `signal` too. */
  async wait(request: Request, { limit, signal }: Bounds): Promise<Answer> {
    signal?.throwIfAborted();
    // Servers add up to a sixteenth, so that not all waits end at one moment.
    const bounds = { limit: limit * 17 / 16 + this.limit, signal };
    using exchange = new Exchange(this.#clock, bounds);
    const turn = this.#turn;
    this.#waits.set(exchange, turn);
    try {
      return await this.#run(exchange, turn, request);
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      this.#waits.delete(exchange);
    }
  }

  /** Ends all requests, now and later. */
  destroy(): void {
    const cause = new Interrupted("the session was closed");
    this.#ending.abort(cause);
    for (const exchange of [...this.#asks, ...this.#waits.keys()]) exchange.cancel(cause);
    this.#clients?.then((clients) => clients.destroy()).catch(() => {}); // There are none then.
  }

  async #run(exchange: Exchange, turn: number, request: Request): Promise<Answer> {
    if (this.#ending.signal.aborted) exchange.cancel(this.#ending.signal.reason);
    const clients = this.#clients ??= this.#create();
    try {
      return await this.#send(exchange, await clients, { turn, request });
    } catch (error) {
      // A token or a certificate may have been replaced.
      if (this.#clients === clients && !exchange.isCancelled) this.#clients = undefined;
      if (!(error instanceof Denied) || typeof this.#endpoint.access.password !== "function") throw error;
    }
    return await this.#send(exchange, await (this.#clients ??= this.#create()), { turn, request });
  }

  async #send(
    exchange: Exchange,
    { each, headers }: Clients,
    { turn, request }: { readonly turn: number; readonly request: Request },
  ): Promise<Answer> {
    const query = { ...request.query, ...this.#query };
    const client = each[turn] as Clients["each"][number]; // There is one for each server.
    return readAnswer(await exchange.send(client, { ...request, query, headers: { ...headers } }));
  }

  async #create(): Promise<Clients> {
    const { hosts, access } = this.#endpoint;
    try {
      const patience = { clock: this.#clock, limit: this.limit, signal: this.#ending.signal };
      return createClients(hosts, await credentials(access, patience));
    } catch (cause) {
      throw new Interrupted(cause instanceof Error ? cause.message : "there are no credentials", { cause });
    }
  }

  /** Goes on with the next server. What waits for the one that failed might wait for ever. */
  #leave(turn: number, cause: Interrupted): void {
    if (turn === this.#turn) this.#turn = (this.#turn + 1) % this.#endpoint.hosts.length;
    for (const [exchange, other] of this.#waits) if (other === turn) exchange.cancel(cause);
  }
}
