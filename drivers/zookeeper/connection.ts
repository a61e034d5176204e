import { type Access, credentials } from "../../internal/access.ts";
import { Interrupted, SessionGone, type StoreOptions } from "../../internal/tree/store.ts";
import { authorityOf } from "../../internal/url.ts";
import { Link, type LinkOptions } from "./link.ts";
import type { Server, SessionKey } from "./transport.ts";
import type { Owner } from "./wire.ts";

/** Where the servers are, and who asks. */
export interface Endpoint {
  readonly servers: readonly Server[];
  readonly access: Access;
  /** Whose the nodes are that are made. */
  readonly owner: Owner;
}

/** After a stall of the event loop the answer may lie in the socket: so long it may still be read, in ms. */
const GRACE = 5;

/** A session of ZooKeeper, over one link after the other, to any of the servers. */
export class Connection {
  /** As granted, in ms. */
  readonly ttl: number;
  /** The session's number, as its nodes tell it. */
  readonly owner: bigint;
  readonly location: string;
  readonly #endpoint: Endpoint;
  readonly #options: StoreOptions;
  #link: Link | undefined;
  #key: SessionKey;
  #next = 0;
  #dialing: { readonly link: Promise<Link>; readonly stop: AbortController } | undefined;
  /** Why it is used no more. */
  #over: Error | undefined;

  private constructor(link: Link, endpoint: Endpoint, options: StoreOptions) {
    this.#endpoint = endpoint;
    this.#options = options;
    this.#link = link;
    this.#key = link.key;
    this.ttl = link.ttl;
    this.owner = link.key.id.readBigInt64BE();
    this.location = endpoint.servers.map(authorityOf).join(",");
  }

  /** Makes a session. */
  static async open(endpoint: Endpoint, options: StoreOptions): Promise<Connection> {
    const { limit, signal } = options;
    const stop = new AbortController();
    const cancel = bound(options, () => stop.abort(late(limit)));
    const made: { connection?: Connection } = {};
    try {
      const link = await dial(endpoint, options, {
        key: undefined,
        ttl: options.ttl,
        signal: AbortSignal.any([stop.signal, signal]),
        closed: (link, cause) => made.connection?.closed(link, cause),
      });
      return made.connection = new Connection(link, endpoint, options);
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      cancel();
    }
  }

  /** Asks on a link, all in all no longer than the limit; then the link is given up, and what is asked on it. */
  async run<T>(ask: (link: Link) => Promise<T>): Promise<T> {
    const cancel = bound(this.#options, () => this.#abandon(late(this.#options.limit)));
    try {
      return await ask(await this.#reach());
    } catch (error) {
      if (error instanceof SessionGone) this.#over ??= error;
      throw error;
    } finally {
      cancel();
    }
  }

  /** Disconnects for good. */
  destroy(): void {
    this.#over ??= new Interrupted("the session was closed");
    this.#abandon(this.#over);
  }

  /** Hears that a link broke. */
  closed(link: Link, cause: unknown): void {
    if (this.#link !== link) return;
    this.#key = link.key;
    this.#link = undefined;
    if (!this.#over) this.#options.broken(cause);
  }

  #abandon(cause: Error): void {
    this.#dialing?.stop.abort(cause);
    this.#link?.destroy(cause);
  }

  async #reach(): Promise<Link> {
    if (this.#over) throw this.#over;
    if (this.#link?.open) return this.#link;
    this.#dialing ??= this.#dial();
    return await this.#dialing.link;
  }

  #dial(): { link: Promise<Link>; stop: AbortController } {
    const stop = new AbortController();
    return { link: this.#resume(stop.signal), stop };
  }

  async #resume(signal: AbortSignal): Promise<Link> {
    try {
      const servers = rotate(this.#endpoint.servers, ++this.#next);
      const link = await dial({ ...this.#endpoint, servers }, this.#options, {
        key: this.#key,
        ttl: this.ttl,
        signal,
        closed: (link, cause) => this.closed(link, cause),
      });
      if (this.#over || link.ttl < this.ttl) {
        const cause = this.#over ?? new Interrupted(`the server grants ${link.ttl} ms and not ${this.ttl}`);
        link.destroy(cause);
        throw cause;
      }
      return this.#link = link;
    } finally {
      this.#dialing = undefined;
    }
  }
}

/** Connects to the first server that serves. */
async function dial(
  { servers, access, owner }: Endpoint,
  { clock, limit }: StoreOptions,
  options: Omit<LinkOptions, "credentials" | "owner">,
): Promise<Link> {
  const until = clock.now() + limit;
  const now = await credentials(access, { clock, limit, signal: options.signal }).catch((cause: Error) => {
    throw new Interrupted(cause.message, { cause });
  });
  let last: unknown;
  for (const [i, server] of servers.entries()) {
    const slow = new AbortController();
    // One that does not answer leaves time for the others.
    const share = (until - clock.now()) / (servers.length - i);
    const cancel = clock.after(share, () => slow.abort(late(share)));
    try {
      return await Link.open(server, {
        ...options,
        credentials: now,
        owner,
        signal: AbortSignal.any([options.signal, slow.signal]),
      });
    } catch (error) {
      if (error instanceof SessionGone) throw error;
      last = error;
      if (options.signal.aborted) break;
    } finally {
      cancel();
    }
  }
  throw last;
}

/** The servers in a circle, beginning with that one. */
export function rotate(servers: readonly Server[], first: number): readonly Server[] {
  const start = first % servers.length;
  return [...servers.slice(start), ...servers.slice(0, start)];
}

/** Calls back when the limit of an operation has passed; the returned function cancels. */
function bound({ clock, limit }: StoreOptions, giveUp: () => void): () => void {
  let cancel = clock.after(Math.max(limit - GRACE, 0), () => {
    cancel = clock.after(GRACE, giveUp);
  });
  return () => cancel();
}

function late(ms: number): Interrupted {
  return new Interrupted(`no answer within ${Math.ceil(ms)} ms`);
}
