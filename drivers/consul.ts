/**
 * Coordination on Consul: a server, or the agent of this machine, from version 1.8 on.
 *
 * @example
 * ```ts ignore
 * import { getCoordinator } from "@tooz/coord";
 * import { consul } from "@tooz/coord/consul";
 *
 * await using coord = await getCoordinator(consul("consul://127.0.0.1:8500"));
 * ```
 *
 * @module
 */
import type { Backend } from "../driver.ts";
import { type AccessOptions, readAccess, type Secret, type TlsOptions } from "../internal/access.ts";
import { treeBackend } from "../internal/tree/backend.ts";
import {
  type Address,
  milliseconds,
  parseAddress,
  redact,
  refuseClient,
  serversOf,
  text,
  unusable,
} from "../internal/url.ts";
import type { Endpoint } from "./consul/link.ts";
import { ConsulStore } from "./consul/store.ts";

export type { AccessOptions, Backend, Secret, TlsOptions };

/** The options of the Consul driver. Each may stand in the URL's query too; what is given in code wins. */
export interface ConsulOptions extends Omit<AccessOptions, "user"> {
  /** The ACL token, or a function that gives it; default: the URL's password, as in `consul://:TOKEN@host`. */
  password?: Secret;
  /** The datacenter to use; default: that of the agent. */
  datacenter?: string;
  /**
   * How long at least a lock stays taken, in ms, after its holder has lost it for want of renewal: time for what the
   * holder still had under way. The holder gives up that much earlier. Default 0; less than half the ttl.
   */
  lockDelay?: number;
}

/**
 * Makes a backend of a Consul cluster. It connects nothing yet.
 *
 * @param url Where to reach it: `consul://:token@host:port`, `consul+https:` with TLS, or several hosts with commas between, of which the next is used
 * when one fails; default `consul://127.0.0.1:8500`, the agent of this machine.
 * @param options What the URL does not say.
 * @returns A backend for `getCoordinator`.
 * @throws {TypeError} if the URL or an option cannot be used.
 * @throws {RangeError} if `lockDelay` is not a number of milliseconds.
 *
 * @example
 * ```ts ignore
 * import { consul } from "@tooz/coord/consul";
 *
 * const backend = consul("consul://10.0.0.1,10.0.0.2?namespace=jobs", { datacenter: "east" });
 * ```
 */
export function consul(url: string | URL = "consul://127.0.0.1:8500", options: ConsulOptions = {}): Backend {
  refuseClient(url, "consul", "its server, its token and its certificates cannot be read from it");
  const address = parseAddress(url);
  const read = readAccess<ConsulOptions>("consul", address, options, {
    own: { datacenter: text, lockDelay: milliseconds },
    isSecure: address.scheme === "consul+https",
  });
  const { access } = read;
  if (access.user !== undefined) {
    throw unusable(
      redact(url),
      "Consul knows no users: an ACL token stands as the password, consul://:TOKEN@host",
    );
  }
  const endpoint = { ...locate(address, read.options, redact(url)), access };
  return treeBackend("consul", read.defaults, (store) => ConsulStore.open(endpoint, store));
}

/** Where to connect, checked as far as can be without connecting. */
function locate(address: Address, options: ConsulOptions, shown: string): Omit<Endpoint, "access"> {
  const { scheme, path } = address;
  if (scheme !== "consul" && scheme !== "consul+https") {
    throw unusable(shown, `want scheme "consul:", got "${scheme}:"`);
  }
  if (path.replace(/^\//, "") !== "") throw unusable(shown, `want no path, got "${path}"`);
  const { datacenter, lockDelay = 0 } = options;
  // Written in code it was read by nobody yet.
  milliseconds(String(lockDelay), "lockDelay");
  return { hosts: serversOf(address, 8500), datacenter, lockDelay };
}
