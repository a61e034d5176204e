/**
 * Coordination on a Redis or Valkey server, from version 6 on.
 *
 * @example
 * ```ts ignore
 * import { getCoordinator } from "@tooz/coord";
 * import { redis } from "@tooz/coord/redis";
 *
 * await using coord = await getCoordinator(redis("redis://127.0.0.1:6379"));
 * ```
 *
 * @module
 */
import type { Characteristic } from "../characteristics.ts";
import type { Backend, Opener, OpenOptions } from "../driver.ts";
import {
  type AccessOptions,
  type Read,
  readAccess,
  type Secret,
  type TlsOptions,
} from "../internal/access.ts";
import { systemClock } from "../internal/clock.ts";
import {
  type Address,
  boolean,
  milliseconds,
  parseAddress,
  redact,
  serversOf,
  text,
  unusable,
} from "../internal/url.ts";
import { Cluster } from "./redis/cluster.ts";
import { Connection } from "./redis/connection.ts";
import { type Demands, type Endpoint, single } from "./redis/endpoint.ts";
import { type RedisClient, settingsOf } from "./redis/injected.ts";
import { count, database, readDetours, readNat } from "./redis/options.ts";
import type { Replication } from "./redis/replication.ts";
import { Sentinels } from "./redis/sentinels.ts";
import { RedisSession } from "./redis/session.ts";
import type { Site } from "./redis/wire.ts";

export type { AccessOptions, Backend, RedisClient, Secret, TlsOptions };

/** The options of the Redis driver. Each may stand in the URL's query too; what is given in code wins. */
export interface RedisOptions extends AccessOptions {
  /** The number of the database; default: the URL's path, else 0. */
  db?: number;
  /**
   * How many replicas must have a grant before it is handed out, and a renewal before it counts; default 0. What they
   * have not confirmed in time is given back, with a `ConnectionError`.
   */
  replicas?: number;
  /** How long the replicas are waited for, in ms; default 500. It is never more than a quarter of an operation's time. */
  replicaTimeout?: number;
  /** The name of the master that sentinels watch over; the URL's hosts are then the sentinels. */
  sentinel?: string;
  /** The user to log in as at the sentinels; default: none. */
  sentinelUser?: string;
  /** The password to log in with at the sentinels, or a function that gives it for each connection; default: none. */
  sentinelPassword?: Secret;
  /** Whether the URL's hosts are nodes of a cluster; default false. */
  cluster?: boolean;
  /**
   * Where servers are reached from here whose address is told otherwise by others, as `host:port` to `host:port`; in a
   * URL `nat=10.0.0.5:6379=127.0.0.1:7001,…`.
   */
  nat?: Readonly<Record<string, string>>;
}

/** What only this driver is told. */
type Own = Read<RedisOptions>["options"];

const OWN = {
  db: database,
  replicas: count,
  replicaTimeout: milliseconds,
  sentinel: text,
  sentinelUser: text,
  sentinelPassword: text,
  cluster: boolean,
  nat: readNat,
};

const PROMISES: readonly Characteristic[] = [
  "DISTRIBUTED_ACROSS_THREADS",
  "DISTRIBUTED_ACROSS_PROCESSES",
  "DISTRIBUTED_ACROSS_HOSTS",
  "FAIR",
  "PUSHED_LOCKS",
  "PUSHED_WATCHES",
];

/**
 * Makes a backend of a Redis server. It connects nothing yet.
 *
 * @param url Where the server is: `redis://user:password@host:port/db`, `rediss:` with TLS; default `redis://127.0.0.1:6379`.
 * Or an existing client of ioredis, whose settings are used: it is not connected through that client, since what is
 * subscribed, queued and sent again there would get in the way of locks, and the other way round.
 * @param options What the URL or the client does not say.
 * @returns A backend for `getCoordinator`.
 * @throws {TypeError} if the URL, the client or an option cannot be used.
 * @throws {RangeError} if the number of the database is not one.
 *
 * @example
 * ```ts ignore
 * import { redis } from "@tooz/coord/redis";
 *
 * const backend = redis("redis://127.0.0.1:6379/2?namespace=jobs", { password: "secret" });
 * ```
 */
export function redis(
  url: string | URL | RedisClient = "redis://127.0.0.1:6379",
  options: RedisOptions = {},
): Backend {
  if (typeof url === "object" && "isCluster" in url) {
    const like = settingsOf(url);
    return redis(like.url, { ...like.options, ...options });
  }
  const address = parseAddress(url);
  const isSecure = address.scheme === "rediss";
  const read = readAccess<RedisOptions>("redis", address, options, { own: OWN, isSecure });
  const site = locate(address, read, redact(url));
  const opener: Opener = {
    driver: "redis",
    characteristics: new Set(PROMISES),
    clock: systemClock,
    defaults: read.defaults,
    open: (open: OpenOptions) => RedisSession.open(site, systemClock, open),
  };
  return opener;
}

/** Where to connect, checked as far as can be without connecting. */
function locate(address: Address, { options, access }: Read<RedisOptions>, shown: string): Site {
  if (address.scheme !== "redis" && address.scheme !== "rediss") {
    throw unusable(shown, `want scheme "redis:", got "${address.scheme}:"`);
  }
  const demands = { access, db: databaseOf(address, options), replication: replicationOf(options) };
  if (options.sentinel !== undefined && options.cluster) {
    throw unusable(shown, "a cluster has no sentinels");
  }
  if (options.sentinel === "") throw unusable(shown, '"sentinel" wants the name of the master');
  if (options.sentinel !== undefined) return reach(watched(options.sentinel, address, demands, options));
  for (const name of ["sentinelUser", "sentinelPassword"] as const) {
    if (options[name] !== undefined) throw unusable(shown, `"${name}" is there only with sentinel=NAME`);
  }
  const [server, ...others] = serversOf(address, 6379);
  if (options.cluster) return clustered(address, demands, options, shown);
  if (options.nat) throw unusable(shown, '"nat" is there only with sentinel=NAME or cluster=true');
  if (!server || others.length > 0) {
    const got = `${others.length + 1} servers`;
    throw unusable(shown, `want one server, or sentinel=NAME, or cluster=true, got ${got}`);
  }
  return reach(single(server, demands));
}

function reach(endpoint: Endpoint): Site {
  return { spread: false, connect: (options) => new Connection(endpoint, options) };
}

/** The cluster that the URL's hosts are nodes of. */
function clustered(address: Address, demands: Demands, { nat = {} }: Own, shown: string): Site {
  if (demands.db !== 0) throw unusable(shown, `a cluster has no database but 0, got ${demands.db}`);
  const cluster = { ...demands, seeds: serversOf(address, 6379), detours: readDetours(nat) };
  return { spread: true, connect: (options) => new Cluster(cluster, options) };
}

function databaseOf({ path }: Address, options: Own): number {
  const written = path.replace(/^\//, "");
  return database(`${options.db ?? (written === "" ? 0 : written)}`, "db");
}

function replicationOf({ replicas = 0, replicaTimeout = 500 }: Own): Replication | undefined {
  count(`${replicas}`, "replicas");
  milliseconds(`${replicaTimeout}`, "replicaTimeout");
  return replicas === 0 ? undefined : { count: replicas, limit: replicaTimeout };
}

/** The master that the URL's hosts watch over. */
function watched(name: string, address: Address, demands: Demands, options: Own): Endpoint {
  const { sentinelUser: user, sentinelPassword: password, nat = {} } = options;
  return new Sentinels({
    ...demands,
    sentinels: serversOf(address, 26379),
    name,
    login: { user, password, tls: demands.access.tls },
    detours: readDetours(nat),
  });
}
