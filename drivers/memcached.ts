/**
 * Coordination on memcached, from version 1.6 on.
 *
 * @example
 * ```ts ignore
 * import { getCoordinator } from "@tooz/coord";
 * import { memcached } from "@tooz/coord/memcached";
 *
 * await using coord = await getCoordinator(memcached("memcached://127.0.0.1:11211"));
 * ```
 *
 * @module
 */
import type { Characteristic } from "../characteristics.ts";
import type { Backend, Opener } from "../driver.ts";
import {
  type Access,
  type AccessOptions,
  readAccess,
  type Secret,
  type TlsOptions,
} from "../internal/access.ts";
import { systemClock } from "../internal/clock.ts";
import { openTree } from "../internal/tree/session.ts";
import { type Address, parseAddress, redact, refuseClient, serversOf, unusable } from "../internal/url.ts";
import type { Server } from "./memcached/link.ts";
import { MemcachedStore } from "./memcached/store.ts";

export type { AccessOptions, Backend, Secret, TlsOptions };

/** The options of the memcached driver. Each may stand in the URL's query too; what is given in code wins. */
export type MemcachedOptions = AccessOptions;

const PROMISES: readonly Characteristic[] = [
  "DISTRIBUTED_ACROSS_THREADS",
  "DISTRIBUTED_ACROSS_PROCESSES",
  "DISTRIBUTED_ACROSS_HOSTS",
  "FAIR",
];

/**
 * Makes a backend of one memcached server or several. It connects nothing yet.
 *
 * @param url Where the servers are: `memcached://user:password@host:port,host:port`; default `memcached://127.0.0.1:11211`. Each lock
 * and each group is on one of several servers; all who share it must name the same servers, in whatever order.
 * @param options What the URL does not say.
 * @returns A backend for `getCoordinator`.
 * @throws {TypeError} if the URL or an option cannot be used.
 *
 * @example
 * ```ts ignore
 * import { memcached } from "@tooz/coord/memcached";
 *
 * const backend = memcached("memcached://10.0.0.1,10.0.0.2?namespace=jobs");
 * ```
 */
export function memcached(
  url: string | URL = "memcached://127.0.0.1:11211",
  options: MemcachedOptions = {},
): Backend {
  refuseClient(
    url,
    "memcached",
    "what it logs in with is for another protocol than the one that is spoken here",
  );
  const address = parseAddress(url);
  const { access, defaults } = readAccess<MemcachedOptions>("memcached", address, options, { own: {} });
  const endpoint = { servers: locate(address, redact(url)), access: checkLogin(access, redact(url)) };
  const driver = "memcached";
  const opener: Opener = {
    driver,
    characteristics: new Set(PROMISES),
    clock: systemClock,
    defaults,
    open: (open) =>
      openTree((store) => MemcachedStore.open(endpoint, store), { driver, clock: systemClock }, open),
  };
  return opener;
}

/** Where to connect, checked as far as can be without connecting. */
function locate(address: Address, shown: string): Server[] {
  const { scheme, path } = address;
  if (scheme !== "memcached") throw unusable(shown, `want scheme "memcached:", got "${scheme}:"`);
  if (path.replace(/^\//, "") !== "") throw unusable(shown, 'memcached has no path, use option "namespace"');
  const servers = serversOf(address, 11211);
  // One that is named twice would be two to the placing of keys.
  return servers.filter((one, i) => servers.findIndex((other) => isSame(one, other)) === i);
}

/** The server takes a name and a password, with a space between. */
function checkLogin(access: Access, shown: string): Access {
  const { user, password } = access;
  if ((user === undefined) !== (password === undefined)) {
    throw unusable(shown, "want user and password together");
  }
  if (user !== undefined && /\s/.test(user)) {
    throw unusable(shown, "memcached's names of users have no spaces");
  }
  return access;
}

function isSame(one: Server, other: Server): boolean {
  return one.host === other.host && one.port === other.port;
}
