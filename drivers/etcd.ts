/**
 * Coordination on etcd, with the API of version 3.
 *
 * @example
 * ```ts ignore
 * import { getCoordinator } from "@tooz/coord";
 * import { etcd } from "@tooz/coord/etcd";
 *
 * await using coord = await getCoordinator(etcd("etcd://127.0.0.1:2379"));
 * ```
 *
 * @module
 */
// Before the client is loaded.
import "./etcd/protocol.ts";
import type { Backend } from "../driver.ts";
import {
  type Access,
  type AccessOptions,
  readAccess,
  type Secret,
  type TlsOptions,
} from "../internal/access.ts";
import { treeBackend } from "../internal/tree/backend.ts";
import {
  type Address,
  authorityOf,
  parseAddress,
  redact,
  refuseClient,
  serversOf,
  text,
  unusable,
} from "../internal/url.ts";
import { type Endpoint, EtcdStore } from "./etcd/store.ts";

export type { AccessOptions, Backend, Secret, TlsOptions };

/** The options of the etcd driver. Each may stand in the URL's query too; what is given in code wins. */
export interface EtcdOptions extends AccessOptions {
  /**
   * What the keys of locks begin with, before the name; default: the namespace and `/locks/`. With `""` a lock excludes
   * `etcdctl lock` of the same name.
   */
  lockPrefix?: string;
  /** What the keys of elections begin with; default: the namespace and `/elections/`. With `""` as `etcdctl elect`. */
  electionPrefix?: string;
}

const SCHEMES = ["etcd", "etcd3", "etcd3+http", "etcd3+https"];

/**
 * Makes a backend of an etcd server or cluster. It connects nothing yet.
 *
 * @param url Where the servers are: `etcd://user:password@host:port,host:port`,
 * `etcd3+https:` with TLS; default `etcd://127.0.0.1:2379`.
 * @param options What the URL does not say.
 * @returns A backend for `getCoordinator`.
 * @throws {TypeError} if the URL or an option cannot be used.
 *
 * @example
 * ```ts ignore
 * import { etcd } from "@tooz/coord/etcd";
 *
 * const backend = etcd("etcd://10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379?namespace=jobs");
 * ```
 */
export function etcd(url: string | URL = "etcd://127.0.0.1:2379", options: EtcdOptions = {}): Backend {
  refuseClient(url, "etcd", "its servers, its user and its certificates cannot be read from it");
  const address = parseAddress(url);
  const read = readAccess<EtcdOptions>("etcd", address, options, {
    own: { lockPrefix: text, electionPrefix: text },
    isSecure: address.scheme === "etcd3+https",
  });
  const endpoint = { ...locate(address, read.options, redact(url)), access: checkAccess(read.access) };
  return treeBackend("etcd", read.defaults, (store) => EtcdStore.open(endpoint, store));
}

/** Where to connect, checked as far as can be without connecting. */
function locate(address: Address, options: EtcdOptions, shown: string): Omit<Endpoint, "access"> {
  const { scheme, path } = address;
  if (!SCHEMES.includes(scheme)) throw unusable(shown, `want scheme "etcd:", got "${scheme}:"`);
  if (path.replace(/^\//, "") !== "") throw unusable(shown, 'etcd has no path, use option "namespace"');
  const { lockPrefix, electionPrefix } = options;
  if (lockPrefix !== undefined && lockPrefix === electionPrefix) {
    throw new TypeError(
      `Cannot use option "electionPrefix": it equals "lockPrefix", so that locks and elections would meet`,
    );
  }
  return {
    hosts: serversOf(address, 2379).map(authorityOf),
    ...(lockPrefix === undefined ? {} : { lockPrefix }),
    ...(electionPrefix === undefined ? {} : { electionPrefix }),
  };
}

function checkAccess(access: Access): Access {
  if (access.user === undefined && access.password !== undefined) {
    throw new TypeError('Cannot use option "password" of etcd: want a "user" with it');
  }
  return access;
}
