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
import { systemClock } from "../internal/clock.ts";
import { type Address, parseAddress, type Reader, readOptions, redact, text } from "../internal/url.ts";
import type { Endpoint } from "./redis/link.ts";
import { RedisSession } from "./redis/session.ts";

export type { Backend };

/** The options of the Redis driver. Each may stand in the URL's query too; what is given in code wins. */
export interface RedisOptions {
  /** The user to log in as; default: the URL's, else the server's default user. */
  user?: string;
  /** The password to log in with; default: the URL's. */
  password?: string;
  /** The number of the database; default: the URL's path, else 0. */
  db?: number;
}

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
 * @param url Where the server is: `redis://user:password@host:port/db`; default `redis://127.0.0.1:6379`.
 * @param options What the URL does not say.
 * @returns A backend for `getCoordinator`.
 * @throws {TypeError} if the URL or an option cannot be used.
 * @throws {RangeError} if the number of the database is not one.
 *
 * @example
 * ```ts ignore
 * import { redis } from "@tooz/coord/redis";
 *
 * const backend = redis("redis://127.0.0.1:6379/2?namespace=jobs", { password: "secret" });
 * ```
 */
export function redis(url: string | URL = "redis://127.0.0.1:6379", options: RedisOptions = {}): Backend {
  const address = parseAddress(url);
  const read = readOptions<RedisOptions>("redis", address.query, options, {
    user: text,
    password: text,
    db: database,
  });
  const endpoint = locate(address, read.options, redact(url));
  const opener: Opener = {
    driver: "redis",
    characteristics: new Set(PROMISES),
    clock: systemClock,
    defaults: read.defaults,
    open: (open: OpenOptions) => RedisSession.open(endpoint, systemClock, open),
  };
  return opener;
}

/** Where to connect, checked as far as can be without connecting. */
function locate(address: Address, options: RedisOptions, shown: string): Endpoint {
  if (address.scheme === "rediss") {
    throw new TypeError(
      `Cannot use URL ${shown}: this version speaks no TLS; use redis: through a TLS tunnel`,
    );
  }
  if (address.scheme !== "redis") {
    throw new TypeError(`Cannot use URL ${shown}: want scheme "redis:", got "${address.scheme}:"`);
  }
  if (address.hosts.length > 1) {
    throw new TypeError(`Cannot use URL ${shown}: want one server, got ${address.hosts.length}`);
  }
  const path = address.path.replace(/^\//, "");
  const db = options.db ?? (path === "" ? 0 : database(path, "db"));
  if (!Number.isSafeInteger(db) || db < 0) {
    throw new RangeError(`Cannot use option "db": want the number of a database, got ${db}`);
  }
  return {
    host: address.hosts[0]?.host ?? "127.0.0.1",
    port: address.hosts[0]?.port ?? 6379,
    user: options.user ?? address.user,
    password: options.password ?? address.password,
    db,
  };
}

const database: Reader<number> = (value, name) => {
  if (!/^\d{1,9}$/.test(value)) {
    throw new RangeError(`Cannot use option "${name}": want the number of a database, got "${value}"`);
  }
  return Number(value);
};
