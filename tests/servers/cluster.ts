import { setTimeout as sleep } from "node:timers/promises";
import { type Peer, PeerNetwork } from "./peer_network.ts";
import { type Server, ServerProcess, type ServerSpec } from "./server.ts";

/** What every product's cluster can be asked for. */
export interface ClusterOptions {
  /**
   * Lets {@linkcode Cluster.isolate} work. The nodes then talk through this process: while that is blocked, so are
   * they, and they elect anew. Default false.
   */
  isolatable?: boolean;
}

/** What a node of a cluster is, beyond a server. */
export interface NodeSpec extends ServerSpec {
  /** Whether it says that it leads. */
  readonly leads: () => Promise<boolean>;
  readonly peer: Peer;
  /** Makes it look for the other nodes now, where a product would take its time. */
  readonly rejoin?: () => Promise<unknown>;
}

const LEADER_DEADLINE = 30_000;
const LEADER_PAUSE = 20;

/** Servers that act as one, each a process of its own. Where one server is asked for, the first stands for all. */
export class Cluster implements Server {
  readonly name: string;
  readonly nodes: readonly ServerProcess[];
  readonly #specs: readonly NodeSpec[];
  readonly #network: PeerNetwork | undefined;
  readonly #isolated = new Set<Server>();
  #networkStarted: Promise<unknown> | undefined;

  constructor(name: string, specs: readonly NodeSpec[], { isolatable = false }: ClusterOptions = {}) {
    this.name = name;
    this.nodes = specs.map((spec) => new ServerProcess(spec));
    this.#specs = specs;
    const peers = specs.map(({ peer }) => peer);
    if (isolatable) this.#network = new PeerNetwork(peers, () => this.nodes.map(({ pid }) => pid));
  }

  get port(): number {
    return this.nodes[0]?.port ?? 0;
  }

  /** Names all nodes. */
  get url(): string {
    return [this.urlAt(this.port), ...this.nodes.slice(1).map(({ port }) => `127.0.0.1:${port}`)].join(",");
  }

  /** The URL of one node, reached through another port. */
  urlAt(port: number): string {
    return this.#specs[0]?.url(port) ?? "";
  }

  get isAlive(): boolean {
    return this.nodes.every((node) => node.isAlive);
  }

  log(): string {
    return this.nodes.map((node) => node.log()).join("\n");
  }

  /** Starts the nodes that do not run, and resolves when the cluster has a leader and every node serves. */
  async start(): Promise<this> {
    this.#networkStarted ??= this.#network?.start();
    await this.#networkStarted;
    await Promise.all(this.nodes.filter((node) => !node.isAlive).map((node) => node.start()));
    await this.leader();
    return this;
  }

  async kill(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()));
  }

  async restart(): Promise<void> {
    await this.kill();
    await this.start();
  }

  pause(): void {
    for (const node of this.nodes) node.pause();
  }

  resume(): void {
    for (const node of this.nodes) node.resume();
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
    await this.#networkStarted;
    await this.#network?.stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** The node that leads, as it says itself and can prove; those that are isolated are not asked. */
  async leader(): Promise<ServerProcess> {
    const deadline = performance.now() + LEADER_DEADLINE;
    while (performance.now() < deadline) {
      const [leader, ...rivals] = await this.#claimants();
      if (leader && rivals.length === 0 && await leader.probe().then(() => true, () => false)) return leader;
      await sleep(LEADER_PAUSE);
    }
    throw new Error(`Cannot find the leader of the ${this.name}: no node is\n${this.log().slice(-2000)}`);
  }

  /** The nodes that run and do not lead. */
  async followers(): Promise<ServerProcess[]> {
    const leader = await this.leader();
    return this.nodes.filter((node) => node.isAlive && node !== leader);
  }

  /** Cuts a node off from the others, but not from clients; connections stay open, and nobody is told. */
  isolate(node: ServerProcess): void {
    if (!this.#network) throw new TypeError(`Cannot isolate a node: the ${this.name} is not isolatable`);
    this.#isolated.add(node);
    this.#network.isolate(this.nodes.indexOf(node));
  }

  /** Ends every isolation; the nodes will find each other soon, but may not have done so yet. */
  async heal(): Promise<void> {
    this.#isolated.clear();
    this.#network?.heal();
    const running = this.#specs.filter((_, index) => this.nodes[index]?.isAlive);
    await Promise.all(running.map((spec) => spec.rejoin?.()));
  }

  async #claimants(): Promise<ServerProcess[]> {
    const claims = await Promise.all(this.nodes.map(async (node, index) => {
      if (!node.isAlive || this.#isolated.has(node)) return false;
      return await this.#specs[index]?.leads().catch(() => false);
    }));
    return this.nodes.filter((_, index) => claims[index]);
  }
}

/** Starts a new cluster; one that does not start leaves nothing behind. */
export async function startCluster(
  name: string,
  specs: readonly NodeSpec[],
  options: ClusterOptions = {},
): Promise<Cluster> {
  const cluster = new Cluster(name, specs, options);
  try {
    return await cluster.start();
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}
