import type { Etcd3, IRequestOp, ITxnRequest, ITxnResponse } from "etcd3";
import type { Target } from "../../driver.ts";
import { type Access, credentials } from "../../internal/access.ts";
import {
  Interrupted,
  type Position,
  SessionGone,
  type Store,
  type StoreOptions,
} from "../../internal/tree/store.ts";
import { EtcdGroups } from "./groups.ts";
import { type KeyRange, Keys, one } from "./keys.ts";
import { EtcdLine } from "./line.ts";
import { type Deadline, describe, Link } from "./link.ts";
import { Slots } from "./slots.ts";

/** Where the servers are, and where keys are on them. */
export interface Endpoint {
  /** `host:port` each. */
  readonly hosts: readonly string[];
  readonly access: Access;
  readonly lockPrefix?: string;
  readonly electionPrefix?: string;
}

/** So many requests at once. */
const LANES = 64;
/** The server's limit for one transaction. */
const MAX_OPS = 128;

/** A session of etcd: one lease, and everything attached to it. */
export class EtcdStore implements Store {
  readonly groups: EtcdGroups;
  readonly slots: Slots = new Slots();
  readonly lanes = LANES;
  readonly #endpoint: Endpoint;
  readonly #options: StoreOptions;
  readonly #keys: Keys;
  readonly #ending = new AbortController();
  #linking: Promise<Link> | undefined;
  #host: string | undefined;
  #next = 0;
  #lease = "0";
  #ttl = 0;

  private constructor(endpoint: Endpoint, options: StoreOptions) {
    this.#endpoint = endpoint;
    this.#options = options;
    this.#keys = new Keys(options.namespace, endpoint);
    this.groups = new EtcdGroups(this, this.#keys);
  }

  /** Is granted a lease by the first server that answers. */
  static async open(endpoint: Endpoint, options: StoreOptions): Promise<EtcdStore> {
    const store = new EtcdStore(endpoint, options);
    const abort = () => store.destroy();
    options.signal.addEventListener("abort", abort, { once: true });
    try {
      await store.#grant();
      options.signal.throwIfAborted();
      return store;
    } catch (error) {
      store.destroy();
      throw error;
    } finally {
      options.signal.removeEventListener("abort", abort);
    }
  }

  async #grant(): Promise<void> {
    const { limit, ttl } = this.#options;
    const share = limit / this.#endpoint.hosts.length;
    for (let tries = 1;; tries++) {
      try {
        const { ID, TTL } = await this.ask(
          (client, options) => client.leaseClient.leaseGrant({ TTL: Math.ceil(ttl / 1000) }, options),
          share,
        );
        [this.#lease, this.#ttl] = [ID, Number(TTL) * 1000];
        return;
      } catch (error) {
        if (!(error instanceof Interrupted) || tries === this.#endpoint.hosts.length) throw error;
      }
    }
  }

  get ttl(): number {
    return this.#ttl;
  }

  get location(): string {
    return this.#host ?? this.#endpoint.hosts.join(",");
  }

  /** The lease's number. */
  get lease(): string {
    return this.#lease;
  }

  /** As etcd's own tools write it into keys. */
  get leaseHex(): string {
    return BigInt(this.#lease).toString(16);
  }

  async renew(): Promise<void> {
    const link = await this.#open();
    const late = this.#options.clock.after(this.#options.limit, () => {
      link.destroy(new Interrupted(`no answer within ${this.#options.limit} ms`));
    });
    try {
      await link.heart.beat(this.#lease);
    } catch (error) {
      throw error instanceof SessionGone ? error : new Interrupted("the connection broke", { cause: error });
    } finally {
      late();
    }
  }

  async owned(paths: readonly string[]): Promise<ReadonlySet<string>> {
    const { TTL, keys } = await this.ask((client, options) =>
      client.leaseClient.leaseTimeToLive({ ID: this.#lease, keys: true }, options)
    );
    if (Number(TTL) < 0) throw new SessionGone("the lease has expired");
    const owned = new Set(keys.map(String));
    // The leader answers this from memory, which may be behind what its followers have confirmed: ask for certain.
    const missing = paths.filter((path) => !owned.has(path));
    for (const path of await this.#attached(missing)) owned.add(path);
    return owned;
  }

  async #attached(paths: string[]): Promise<string[]> {
    const batches: string[][] = [];
    for (let i = 0; i < paths.length; i += MAX_OPS) batches.push(paths.slice(i, i + MAX_OPS));
    const answers = await Promise.all(batches.map((batch) => {
      const success: IRequestOp[] = batch.map((path) => ({
        request_range: { ...one(path), keys_only: true },
      }));
      return this.txn({ compare: [], success, failure: [] });
    }));
    return answers.flatMap(({ responses }) => responses)
      .flatMap(({ response_range }) => response_range?.kvs ?? [])
      .filter(({ lease }) => lease === this.#lease)
      .map(({ key }) => key.toString());
  }

  async end(): Promise<void> {
    await this.ask((client, options) => client.leaseClient.leaseRevoke({ ID: this.#lease }, options));
  }

  destroy(): void {
    const over = new Interrupted("the session is over");
    this.#ending.abort(over);
    this.#linking?.then((link) => link.destroy(over)).catch(() => {}); // There is none then.
  }

  line(target: Target): EtcdLine {
    return new EtcdLine(this, this.#keys.line(target));
  }

  /** Makes one request. */
  async ask<T>(
    request: (client: Etcd3, options: Deadline) => Promise<T>,
    limit: number = this.#options.limit,
  ): Promise<T> {
    return await (await this.#open()).ask(request, limit);
  }

  /** Carries out a transaction. */
  txn(request: ITxnRequest): Promise<ITxnResponse> {
    return this.ask((client, options) => client.kv.txn(request, options));
  }

  /** Resolves when something of the range has changed after a revision, or may have. */
  async changed(range: KeyRange, at: Position, signal: AbortSignal): Promise<void> {
    await (await this.#open()).watcher.changed(range, at, signal);
  }

  /** The link that there is, or one to the next server. */
  #open(): Promise<Link> {
    this.#linking ??= this.#connect().catch((cause: unknown) => {
      this.#linking = undefined;
      throw cause instanceof Interrupted ? cause : new Interrupted(describe(cause), { cause });
    });
    return this.#linking;
  }

  async #connect(): Promise<Link> {
    const { clock, limit, broken } = this.#options;
    const { hosts, access } = this.#endpoint;
    const host = this.#host = hosts[this.#next++ % hosts.length] ?? "";
    const { signal } = this.#ending;
    const now = await credentials(access, { clock, limit, signal });
    signal.throwIfAborted();
    return new Link({
      host,
      credentials: now,
      clock,
      limit,
      closed: (cause) => {
        this.#linking = undefined;
        if (!signal.aborted) broken(cause);
      },
    });
  }
}
