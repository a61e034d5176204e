import type { Target } from "../../driver.ts";
import { Interrupted, SessionGone, type Store, type StoreOptions } from "../../internal/tree/store.ts";
import { ConsulGroups } from "./groups.ts";
import { rootPrefix } from "./keys.ts";
import { type Lease, openLease } from "./lease.ts";
import { ConsulLine, type Context } from "./line.ts";
import { type Endpoint, Link } from "./link.ts";
import { step, transact } from "./txn.ts";
import { Waits } from "./waits.ts";

/** How many steps a transaction may have. */
const STEPS = 64;

/** So many requests at once, with a connection each: a server lets 200 of one address in, by default, and many wait. */
const LANES = 32;
/** The same where the greater part of the work is to begin the connection. */
const TLS_LANES = 8;

/** A session of Consul. */
export class ConsulStore implements Store {
  readonly ttl: number;
  readonly lanes: number;
  readonly groups: ConsulGroups;
  readonly #context: Context;

  private constructor(context: Context, { ttl, lanes }: { readonly ttl: number; readonly lanes: number }) {
    this.#context = context;
    this.lanes = lanes;
    this.ttl = ttl;
    this.groups = new ConsulGroups(context);
  }

  /**
   * Opens a session on the first server that can.
   * @throws {Interrupted} when none can be reached
   */
  static async open(endpoint: Endpoint, options: StoreOptions): Promise<ConsulStore> {
    const link = new Link(endpoint, options);
    const abort = () => link.destroy();
    options.signal.addEventListener("abort", abort, { once: true });
    try {
      options.signal.throwIfAborted();
      const lease = await openAnywhere(link, endpoint, options);
      options.signal.throwIfAborted();
      const ttl = endure(lease, endpoint.lockDelay);
      // Less was granted than was asked for: a renewal that gets no answer must leave time for others.
      link.limit = Math.min(link.limit, ttl * 2 / 9);
      const { namespace } = options;
      const waits = new Waits(link, rootPrefix(namespace));
      const lanes = endpoint.access.tls ? TLS_LANES : LANES;
      return new ConsulStore({ link, waits, session: lease.id, namespace }, { ttl, lanes });
    } catch (error) {
      link.destroy();
      throw error;
    } finally {
      options.signal.removeEventListener("abort", abort);
    }
  }

  get location(): string {
    return this.#context.link.location;
  }

  async renew(): Promise<void> {
    const { link, session } = this.#context;
    const request = { method: "PUT", path: "/session/renew/{session}", params: { session } } as const;
    const answer = await link.ask(request);
    if (answer.status === 404) throw new SessionGone(`session ${session} not found`);
  }

  async owned(paths: readonly string[]): Promise<ReadonlySet<string>> {
    const batches: string[][] = [];
    for (let i = 0; i < paths.length; i += STEPS) batches.push(paths.slice(i, i + STEPS));
    return new Set((await Promise.all(batches.map((batch) => this.#held(batch)))).flat());
  }

  async end(): Promise<void> {
    const { link, session } = this.#context;
    await link.ask({ method: "PUT", path: "/session/destroy/{session}", params: { session } });
  }

  destroy(): void {
    this.#context.link.destroy();
  }

  line(target: Target): ConsulLine {
    return new ConsulLine(this.#context, target);
  }

  async #held(paths: readonly string[]): Promise<string[]> {
    const { link, session } = this.#context;
    const steps = paths.map((path) => step.ifHeld(path, session));
    const { failed } = await transact(link, steps);
    return paths.filter((_, i) => !failed?.has(i));
  }
}

/** Opens a session on one server after the other, in the time of one and a half requests. */
async function openAnywhere(link: Link, endpoint: Endpoint, options: StoreOptions): Promise<Lease> {
  const count = endpoint.hosts.length;
  const limit = Math.min(options.limit, options.limit * 1.4 / count);
  for (let tries = 1;; tries++) {
    try {
      return await openLease(link, { memberId: options.memberId, ttl: options.ttl, limit });
    } catch (error) {
      if (!(error instanceof Interrupted) || tries === count) throw error;
    }
  }
}

/** How long a hold is certain after a renewal, in ms, when its holder gives up earlier than the server may. */
function endure({ ttl }: Lease, lockDelay: number): number {
  if (lockDelay < ttl) return ttl - lockDelay;
  throw new RangeError(
    `Cannot use option "lockDelay": want less than the session's ${ttl} ms, got ${lockDelay}`,
  );
}
