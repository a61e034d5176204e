import { Redis } from "ioredis";
import type { Opener, Session } from "../../driver.ts";
import { redis } from "../../drivers/redis.ts";
import { slotOf } from "../../drivers/redis/slots.ts";
import { type RedisCluster, type RedisClusterOptions, startRedisCluster } from "../servers/redis_cluster.ts";
import type { ServerProcess } from "../servers/server.ts";
import { NEVER } from "./redis_world.ts";

const TTL = 20_000;

/** A cluster, sessions on it, and clients that look at its nodes. */
export class Spread implements AsyncDisposable {
  readonly cluster: RedisCluster;
  readonly #sessions: Session[] = [];
  readonly #clients = new Map<ServerProcess, Redis>();

  constructor(cluster: RedisCluster) {
    this.cluster = cluster;
  }

  static async start(options?: RedisClusterOptions): Promise<Spread> {
    return new Spread(await startRedisCluster(options));
  }

  async open(memberId: string, url = this.cluster.url): Promise<Session> {
    const session = await (redis(url) as Opener).open({
      memberId,
      incarnation: crypto.randomUUID(),
      namespace: "test",
      ttl: TTL,
      timeout: 2_000,
      signal: NEVER,
      longest: 10_000,
      note: () => {},
    });
    this.#sessions.push(session);
    return session;
  }

  client(node: ServerProcess): Redis {
    const known = this.#clients.get(node);
    if (known) return known;
    const client = new Redis(node.port, { retryStrategy: () => 20 });
    client.on("error", () => {}); // Nodes are killed on purpose.
    this.#clients.set(node, client);
    return client;
  }

  /** The master whose slots the lock of this name is in. */
  async owner(name: string): Promise<ServerProcess> {
    for (const node of this.cluster.nodes.filter(({ isAlive }) => isAlive)) {
      for (const [first, last, [, port]] of await this.client(node).call("cluster", ["slots"]) as Range[]) {
        const slot = slotOf(tagOf(name));
        if (slot < first || slot > last) continue;
        const owner = this.cluster.nodes.find((each) => each.port === port);
        if (owner) return owner;
      }
    }
    throw new Error(`nobody serves ${name}`);
  }

  /** The name of a lock that a master has. */
  nameAt(master: number): string {
    for (let i = 0;; i++) {
      if (Math.floor(slotOf(tagOf(`l${i}`)) * 3 / 16_384) === master) return `l${i}`;
    }
  }

  /** Moves the slot of a lock: begins, moves the keys, and ends. */
  async move(name: string, to: ServerProcess, halfway?: () => Promise<void>): Promise<void> {
    const slot = slotOf(tagOf(name));
    const from = await this.owner(name);
    const [source, target] = [this.client(from), this.client(to)];
    const [sourceId, targetId] = [
      await source.call("cluster", ["myid"]),
      await target.call("cluster", ["myid"]),
    ];
    await target.call("cluster", ["setslot", slot, "importing", String(sourceId)]);
    await source.call("cluster", ["setslot", slot, "migrating", String(targetId)]);
    const keys = await source.call("cluster", ["getkeysinslot", slot, 1_000]) as string[];
    const half = Math.ceil(keys.length / 2);
    await source.call("migrate", ["127.0.0.1", to.port, "", 0, 5_000, "keys", ...keys.slice(0, half)]);
    await halfway?.();
    const rest = await source.call("cluster", ["getkeysinslot", slot, 1_000]) as string[];
    if (rest.length > 0) await source.call("migrate", ["127.0.0.1", to.port, "", 0, 5_000, "keys", ...rest]);
    for (const node of [target, source, ...this.cluster.masters.map((each) => this.client(each))]) {
      await node.call("cluster", ["setslot", slot, "node", String(targetId)]);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#sessions.map((session) => session.close()));
    for (const client of this.#clients.values()) client.disconnect();
    await this.cluster.stop();
  }
}

type Range = [number, number, [string, number]];

function tagOf(name: string): string {
  return `{test:l:${name}}`;
}
