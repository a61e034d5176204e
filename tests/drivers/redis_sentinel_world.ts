import assert from "node:assert/strict";
import { Redis } from "ioredis";
import { ConnectionError } from "../../core/errors.ts";
import type { Attempt, Grant, Opener, Session } from "../../driver.ts";
import { redis } from "../../drivers/redis.ts";
import {
  type RedisSentinels,
  type RedisSentinelsOptions,
  startRedisSentinels,
} from "../servers/redis_sentinels.ts";
import type { ServerProcess } from "../servers/server.ts";
import { attempt, NEVER, until } from "./redis_world.ts";

/** Longer than a fail-over takes on a busy machine. */
const TTL = 20_000;
/** For what takes a fail-over, in ms. */
export const LONG = 60_000;

/** A master that is watched over, and sessions on it. */
export class Watched implements AsyncDisposable {
  readonly cluster: RedisSentinels;
  readonly #sessions: Session[] = [];
  readonly #clients: Redis[] = [];

  constructor(cluster: RedisSentinels) {
    this.cluster = cluster;
  }

  static async start(options?: RedisSentinelsOptions): Promise<Watched> {
    const watched = new Watched(await startRedisSentinels(options));
    const master = watched.cluster.servers[0];
    if (master && !options?.tls && !options?.password) await watched.replicated(master);
    return watched;
  }

  async open(memberId: string, url = this.cluster.url, ttl = TTL): Promise<Session> {
    const session = await (redis(url) as Opener).open({
      memberId,
      incarnation: crypto.randomUUID(),
      namespace: "test",
      ttl,
      timeout: 2_000,
      signal: NEVER,
      longest: 10_000,
      note: () => {},
    });
    this.#sessions.push(session);
    return session;
  }

  client(server: ServerProcess): Redis {
    const client = new Redis(server.port, { retryStrategy: () => 20 });
    client.on("error", () => {}); // Servers are killed on purpose.
    this.#clients.push(client);
    return client;
  }

  /** Until both replicas have all that the master has. */
  async replicated(master: ServerProcess): Promise<void> {
    const client = this.client(master);
    // Who has written nothing waits for nothing.
    await client.incr("written");
    await until(async () => await client.wait(2, 1_000) === 2, "both replicas have it all", LONG);
  }

  /** Lets nothing reach the replicas that the master is told from now on; resolves with how to replace it by one. */
  async alone(master: ServerProcess): Promise<() => Promise<void>> {
    const replicas = this.cluster.servers.filter((server) => server !== master);
    for (const replica of replicas) replica.pause();
    // What was sent to one that stands still would be read all the same.
    await this.client(master).call("client", ["kill", "type", "replica"]);
    return async () => {
      await master.kill();
      for (const replica of replicas) replica.resume();
      await this.promoted(master);
    };
  }

  /** Until the sentinels say that another server is the master. */
  async promoted(before: ServerProcess): Promise<ServerProcess> {
    let master: ServerProcess | undefined;
    await until(
      async () => {
        master = await this.#named();
        return master !== undefined && master !== before;
      },
      "another is the master",
      LONG,
    );
    return master as ServerProcess; // The wait ended with one.
  }

  async #named(): Promise<ServerProcess | undefined> {
    const sentinel = this.cluster.sentinels.find(({ isAlive }) => isAlive);
    const asked = new Redis(sentinel?.port ?? 0, { retryStrategy: null, maxRetriesPerRequest: 0 });
    asked.on("error", () => {});
    try {
      const [, port] = await asked.call("sentinel", ["get-master-addr-by-name", "mymaster"]) as string[];
      return this.cluster.servers.find((server) => server.port === Number(port));
    } finally {
      asked.disconnect();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#sessions.map((session) => session.close()));
    for (const client of this.#clients) client.disconnect();
    await this.cluster.stop();
  }
}

export async function take(session: Session, name = "l", more: Partial<Attempt> = {}): Promise<Grant> {
  const grant = await session.locks.acquire(attempt(name, more));
  assert.ok(grant, `lock "${name}" was busy`);
  return grant;
}

/** Has a sentinel begin a fail-over; false: it takes no replica for fit, as for a while after the machine stood still. */
export async function failOver(sentinel: Redis): Promise<boolean> {
  try {
    await sentinel.call("sentinel", ["failover", "mymaster"]);
    return true;
  } catch (error) {
    if (!String(error).includes("NOGOODSLAVE")) throw error;
    return false;
  }
}

/** Calls until it is answered: while there is no master, calls are refused in time. */
export async function insist<T>(call: () => Promise<T>): Promise<T> {
  let value: T | undefined;
  await until(
    async () => {
      try {
        value = await call();
        return true;
      } catch (error) {
        if (!(error instanceof ConnectionError)) throw error;
        return false;
      }
    },
    "it is answered",
    LONG,
  );
  return value as T; // The wait ended with one.
}
