import type { Backend, DriverFactory, Opener } from "../driver.ts";
import { redact, schemeOf } from "../internal/url.ts";
import { UnknownDriverError } from "./errors.ts";

/** Our drivers by the schemes of their URLs. */
const DRIVERS: ReadonlyMap<string, string> = new Map([
  ["consul", "consul"],
  ["consul+https", "consul"],
  ["etcd", "etcd"],
  ["etcd3", "etcd"],
  ["etcd3+http", "etcd"],
  ["etcd3+https", "etcd"],
  ["file", "file"],
  ["ipc", "ipc"],
  ["kazoo", "zookeeper"],
  ["mariadb", "mysql"],
  ["memcached", "memcached"],
  ["mysql", "mysql"],
  ["postgres", "postgresql"],
  ["postgresql", "postgresql"],
  ["redis", "redis"],
  ["rediss", "redis"],
  ["zake", "zake"],
  ["zookeeper", "zookeeper"],
]);

/**
 * Finds the backend that a caller means.
 * @throws {UnknownDriverError} when no driver is known for a URL's scheme, or its module cannot be loaded
 */
export async function resolve(
  backend: Backend | string | URL,
  drivers: Record<string, DriverFactory> = {},
): Promise<Opener> {
  if (typeof backend === "string" || backend instanceof URL) {
    const scheme = schemeOf(backend);
    const own = Object.hasOwn(drivers, scheme) ? drivers[scheme] : undefined;
    return check((own ?? await load(scheme, backend))(backend));
  }
  return check(backend);
}

function check(backend: Backend): Opener {
  if (
    typeof backend !== "object" || backend === null || !("open" in backend) ||
    typeof backend.open !== "function"
  ) {
    throw new TypeError(
      "Cannot use the backend: want a URL, or what a driver's factory returns, such as redis(url)",
    );
  }
  return backend as Opener; // Only drivers make objects that can be opened.
}

async function load(scheme: string, url: string | URL): Promise<DriverFactory> {
  const name = DRIVERS.get(scheme);
  if (name === undefined) {
    const known = [...DRIVERS.keys()].map((word) => `${word}:`).join(" ");
    throw new UnknownDriverError(`Cannot use URL ${redact(url)}: no driver for "${scheme}:" among ${known}`);
  }
  const key = /^\w+$/.test(scheme) ? scheme : JSON.stringify(scheme);
  try {
    // A literal specifier would make every user download every driver's packages; from source and JSR the modules end
    // in .ts, in JSR's npm build in .js. A bundle for CommonJS has no URL.
    const extension = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
    const specifier = new URL(`../drivers/${name}${extension}`, import.meta.url).href;
    const module: Record<string, DriverFactory | undefined> = await import(specifier);
    const factory = module[name];
    if (factory) return factory;
    throw new TypeError(`Cannot use module of driver "${name}": it exports no ${name}()`);
  } catch (cause) {
    throw new UnknownDriverError(
      `Cannot load driver "${name}" for URL ${redact(url)}: import it yourself, with ` +
        `\`import { ${name} } from "@tooz/coord/${name}"\` and \`getCoordinator(url, { drivers: { ${key}: ${name} } })\``,
      { driver: name, cause },
    );
  }
}
