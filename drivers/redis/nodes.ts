import { ConnectionError, CoordError } from "../../core/errors.ts";
import { sleep } from "../../internal/clock.ts";
import { refusalOf } from "../../internal/reason.ts";
import { authorityOf } from "../../internal/url.ts";
import { isReply } from "./client.ts";
import { Connection } from "./connection.ts";
import { type Demands, isSame, type Server, single } from "./endpoint.ts";
import { type SlotMap, slotOf } from "./slots.ts";
import type { Topology } from "./topology.ts";
import type { WireOptions } from "./wire.ts";

/** The map is read again after so many ms while a node is away, since another may take its place: at first, and at last. */
const [EAGER, PATIENT] = [100, 1_000];

/** A node that serves nothing any longer, and the connection to it has ended: what was called is called elsewhere. */
export class Retired extends Error {}

/** What the nodes of a cluster are made with. */
export interface NodesOptions extends Omit<WireOptions, "message"> {
  readonly topology: Topology;
  readonly demands: Demands;
  readonly shown: string;
  message(text: string): void;
  /** Slots are served by others now. */
  moved(): void;
}

/** The nodes of a cluster that are in use, one connection to each, and who serves what. */
export class Nodes {
  readonly #options: NodesOptions;
  readonly #ending = new AbortController();
  readonly #nodes = new Map<string, Connection>();
  readonly #down = new Set<Connection>();
  #map: SlotMap = { owners: [], servers: [] };
  /** What nodes have said since the map was read. */
  readonly #news = new Map<number, Server>();
  #reading: Promise<void> | undefined;
  #pursuing = false;

  constructor(options: NodesOptions) {
    this.#options = options;
  }

  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  /** Every server that serves something. */
  get masters(): Connection[] {
    const masters = new Map(this.#map.owners.flatMap((each) => each ? [[authorityOf(each), each]] : []));
    return [...masters.values()].map((server) => this.#connection(server));
  }

  /** The connection to who serves a key; undefined where nobody is known to. */
  of(key: string): Connection | undefined {
    const slot = slotOf(key);
    const server = this.#news.get(slot) ?? this.#map.owners[slot];
    return server && this.#connection(server);
  }

  /** Heeds that a slot is served elsewhere. */
  redirect(slot: number, server: Server): void {
    this.#news.set(slot, this.#options.topology.reach(server));
  }

  /** Reads the map, unless that is being done; rejects when nobody tells. */
  read(limit: number): Promise<void> {
    return this.#reading ??= this.#read(limit).finally(() => this.#reading = undefined);
  }

  end(error: Error): void {
    this.#ending.abort(error);
    for (const node of this.#nodes.values()) node.end(error);
  }

  /** What went wrong, as it is told to the caller. */
  error(cause: unknown): Error {
    if (this.signal.aborted) return this.signal.reason;
    if (cause instanceof CoordError) return cause;
    const message = `Cannot reach ${this.#options.shown}: ${refusalOf(cause)}`;
    return new ConnectionError(message, { driver: "redis", cause });
  }

  async #read(limit: number): Promise<void> {
    const { clock, topology } = this.#options;
    const former = this.#map;
    this.#map = await topology.read({ clock, limit, signal: this.signal });
    this.signal.throwIfAborted();
    this.#news.clear();
    const isFirst = former.servers.length === 0;
    if (isFirst || former.owners.every((owner, slot) => isSame(owner, this.#map.owners[slot]))) return;
    this.#retire();
    this.#options.moved();
    this.#options.restored(this.#down.size === 0);
  }

  #retire(): void {
    const serving = new Set(this.#map.owners.map((owner) => owner && authorityOf(owner)));
    for (const [authority, node] of this.#nodes) {
      if (serving.has(authority)) continue;
      this.#nodes.delete(authority);
      this.#down.delete(node);
      node.end(new Retired("the node serves nothing any longer"));
    }
  }

  #connection(server: Server): Connection {
    const authority = authorityOf(server);
    const known = this.#nodes.get(authority);
    if (known) return known;
    const { clock, timeout, channel, demands } = this.#options;
    const node: Connection = new Connection(single(server, demands, true), {
      clock,
      timeout,
      channel,
      message: (text) => this.#message(node, text),
      suspended: () => this.#suspended(node),
      restored: () => this.#restored(node),
    });
    this.#nodes.set(authority, node);
    node.begin();
    return node;
  }

  /** Every node hears what is published at any of them: one hearing is enough. */
  #message(node: Connection, text: string): void {
    const server = this.of(text.split(" ")[2] ?? "");
    if (server === node || !server?.isUp()) this.#options.message(text);
  }

  #suspended(node: Connection): void {
    // It may have been retired meanwhile.
    if (this.signal.aborted || ![...this.#nodes.values()].includes(node)) return;
    if (this.#down.size === 0) this.#options.suspended();
    this.#down.add(node);
    // It ends when all are back and rejects never.
    void this.#pursue();
  }

  #restored(node: Connection): void {
    this.#down.delete(node);
    this.#options.restored(this.#down.size === 0);
  }

  async #pursue(): Promise<void> {
    if (this.#pursuing) return;
    this.#pursuing = true;
    const { clock, timeout } = this.#options;
    for (
      let pause = EAGER;
      this.#down.size > 0 && !this.signal.aborted;
      pause = Math.min(2 * pause, PATIENT)
    ) {
      // Nobody may tell now; the next time somebody may.
      await this.read(timeout / 2).catch(() => {});
      await sleep(clock, pause, this.signal).catch(() => {});
    }
    this.#pursuing = false;
  }
}

/** What a node of a cluster answers in place of carrying a request out: that it is to be sent again, and where to. */
export interface Redirection {
  readonly slot?: number;
  readonly server?: Server;
}

/** Undefined: it is no such answer. */
export function redirectionOf(error: unknown): Redirection | undefined {
  if (error instanceof Retired) return {};
  const cause = error instanceof Error ? error.cause : undefined;
  if (!isReply(cause)) return undefined;
  const [, slot, host, port] = /^MOVED (\d+) (.*):(\d+)$/.exec(cause.message) ?? [];
  // Without a host it is the one that was asked, which the map knows.
  if (host) return { slot: Number(slot), server: { host, port: Number(port) } };
  return /^(MOVED|ASK|TRYAGAIN|CLUSTERDOWN)\b/.test(cause.message) ? {} : undefined;
}
