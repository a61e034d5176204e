/**
 * Coordination on ZooKeeper, from version 3.5 on.
 *
 * @example
 * ```ts ignore
 * import { getCoordinator } from "@tooz/coord";
 * import { zookeeper } from "@tooz/coord/zookeeper";
 *
 * await using coord = await getCoordinator(zookeeper("zookeeper://10.0.0.1:2181,10.0.0.2:2181/app"));
 * ```
 *
 * @module
 */
import type { Backend } from "../driver.ts";
import { type AccessOptions, readAccess, type Secret, type TlsOptions } from "../internal/access.ts";
import { treeBackend } from "../internal/tree/backend.ts";
import {
  type Address,
  oneOf,
  parseAddress,
  redact,
  refuseClient,
  serversOf,
  unusable,
} from "../internal/url.ts";
import { escapePart } from "./zookeeper/paths.ts";
import { type Place, ZookeeperStore } from "./zookeeper/store.ts";

export type { AccessOptions, Backend, Secret, TlsOptions };

/** The options of the ZooKeeper driver. Each may stand in the URL's query too; what is given in code wins. */
export interface ZookeeperOptions extends AccessOptions {
  /**
   * Who may read and change the nodes that are made: `everybody`, or only the `user` who is logged in, and all who know
   * the same name and password. Default: `user` where there is one.
   */
  acl?: "everybody" | "user";
}

/**
 * Makes a backend of a ZooKeeper server or ensemble. It connects nothing yet.
 *
 * @param url Where the servers are, and below which node to stay:
 * `zookeeper://user:password@host:port,host:port/path`; default
 * `zookeeper://127.0.0.1:2181`.
 * @param options What the URL does not say.
 * @returns A backend for `getCoordinator`.
 * @throws {TypeError} if the URL or an option cannot be used.
 *
 * @example
 * ```ts ignore
 * import { zookeeper } from "@tooz/coord/zookeeper";
 *
 * const backend = zookeeper("zookeeper://zk1,zk2,zk3/app?namespace=jobs");
 * ```
 */
export function zookeeper(
  url: string | URL = "zookeeper://127.0.0.1:2181",
  options: ZookeeperOptions = {},
): Backend {
  refuseClient(
    url,
    "zookeeper",
    "all on its session would have one fate, and its user cannot be read from it",
  );
  const address = parseAddress(url);
  const read = readAccess<ZookeeperOptions>("zookeeper", address, options, {
    own: { acl: oneOf("everybody", "user") },
  });
  const { access, options: { acl = access.user === undefined ? "everybody" : "user" } } = read;
  oneOf("everybody", "user")(acl, "acl"); // In code it was read by nobody yet.
  if (access.user === undefined && (acl === "user" || access.password !== undefined)) {
    throw new TypeError(`Cannot use ${redact(url)}: its options are for a user, and there is none`);
  }
  if (access.user?.includes(":")) {
    throw new TypeError(`Cannot use ${redact(url)}: ZooKeeper's names of users have no ":"`);
  }
  const place = { ...locate(address, redact(url)), access, owner: acl };
  return treeBackend("zookeeper", read.defaults, (store) => ZookeeperStore.open(place, store));
}

/** Where to connect, checked as far as can be without connecting. */
function locate(address: Address, shown: string): Pick<Place, "servers" | "chroot"> {
  const { scheme, path } = address;
  if (scheme !== "zookeeper" && scheme !== "kazoo") {
    throw unusable(shown, `want scheme "zookeeper:" or "kazoo:", got "${scheme}:"`);
  }
  return {
    servers: serversOf(address, 2181),
    chroot: path.split("/").filter((part) => part !== "").map((part) => `/${escapePart(part)}`).join(""),
  };
}
