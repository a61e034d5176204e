import { sleep } from "../../internal/clock.ts";
import { authorityOf } from "../../internal/url.ts";
import type { Connection } from "./connection.ts";
import type { Demands, Detours, Server } from "./endpoint.ts";
import { Nodes, redirectionOf } from "./nodes.ts";
import type { Script } from "./script.ts";
import { Topology } from "./topology.ts";
import type { Caller, Wire, WireOptions } from "./wire.ts";

/** How a cluster is found. */
export interface ClusterOptions extends Demands {
  /** Some of its nodes. */
  readonly seeds: readonly Server[];
  readonly detours: Detours;
}

/** A channel that is listened to, at the node that serves the keys of the same tag. */
interface Listening {
  readonly channel: string;
  readonly wake: () => void;
  node?: Connection | undefined;
  stop?: () => void;
}

/** The ways to the nodes of a cluster: each call goes to who serves its key, and follows where that moves. */
export class Cluster implements Wire {
  readonly timeout: number;
  readonly #options: WireOptions;
  readonly #nodes: Nodes;
  readonly #listenings = new Set<Listening>();

  constructor({ seeds, detours, ...demands }: ClusterOptions, options: WireOptions) {
    this.timeout = options.timeout;
    this.#options = options;
    this.#nodes = new Nodes({
      ...options,
      demands,
      topology: new Topology(seeds, demands.access, detours),
      shown: `redis cluster at "${seeds.map(authorityOf)}"`,
      moved: () => this.#moved(),
    });
  }

  async start(): Promise<void> {
    try {
      await this.#nodes.read(this.timeout);
    } catch (cause) {
      throw this.#nodes.error(cause);
    }
  }

  isUp(key: string): boolean {
    return this.#nodes.of(key)?.isUp() ?? false;
  }

  call(script: Script, key: string, args: readonly string[], caller?: Caller): Promise<unknown> {
    const send = (node: Connection, budget: number) =>
      node.call(script, key, args, {
        budget,
        stopped: () => caller?.stopped?.() ?? false,
        repeated: () => caller?.repeated?.(),
      });
    return this.#follow(key, send, caller?.budget);
  }

  listen(channel: string, wake: () => void): () => void {
    const listening: Listening = { channel, wake };
    this.#listenings.add(listening);
    this.#place(listening);
    return () => {
      this.#listenings.delete(listening);
      listening.stop?.();
    };
  }

  async subscribed(channel: string): Promise<void> {
    await this.#follow(channel, (node) => node.subscribed(channel));
  }

  async scan(pattern: string): Promise<string[]> {
    await this.start();
    const found = await Promise.all(this.#nodes.masters.map((node) => node.scan(pattern)));
    return [...new Set(found.flat())];
  }

  confirm(): Promise<void> {
    // A node that is cut off from most of the others refuses to serve.
    return Promise.resolve();
  }

  end(error: Error): void {
    if (!this.#nodes.signal.aborted) this.#nodes.end(error);
  }

  /** Sends to who serves the key, and again as long as that is to be somebody else, until the deadline. */
  async #follow<T>(
    key: string,
    send: (node: Connection, budget: number) => Promise<T>,
    budget = this.timeout,
  ): Promise<T> {
    const { clock } = this.#options;
    const end = clock.now() + budget;
    for (let tries = 0;; tries++) {
      this.#nodes.signal.throwIfAborted();
      const node = this.#nodes.of(key);
      let cause: unknown = new Error("nobody serves this part of the keys");
      try {
        if (node) return await send(node, end - clock.now());
      } catch (error) {
        cause = error;
        const redirection = redirectionOf(error);
        if (!redirection) throw error;
        const { slot, server } = redirection;
        if (slot !== undefined && server) this.#nodes.redirect(slot, server);
      }
      await this.#reconsider(tries, end - clock.now(), cause);
    }
  }

  /** Lets the map be read again, and some time go by when that was not enough. */
  async #reconsider(tries: number, left: number, cause: unknown): Promise<void> {
    const pause = tries === 0 ? 0 : Math.min(10 * tries, 50);
    if (left <= pause) throw this.#nodes.error(cause);
    // Whoever was told where to go need not wait for it.
    this.#nodes.read(Math.min(left, this.timeout / 2)).catch(() => {});
    await sleep(this.#options.clock, pause, this.#nodes.signal);
  }

  #place(listening: Listening): void {
    const node = this.#nodes.of(listening.channel);
    if (!node || node === listening.node) return;
    listening.stop?.();
    listening.node = node;
    listening.stop = node.listen(listening.channel, listening.wake);
  }

  #moved(): void {
    for (const listening of this.#listenings) {
      this.#place(listening);
      // What it missed meanwhile it sees when it looks; what fails is tried again when the connection is back.
      this.subscribed(listening.channel).then(listening.wake, () => {});
    }
  }
}
