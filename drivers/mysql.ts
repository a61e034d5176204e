/**
 * Coordination in a database of MySQL or MariaDB.
 *
 * @example
 * ```ts ignore
 * import { getCoordinator } from "@tooz/coord";
 * import { mysql } from "@tooz/coord/mysql";
 *
 * await using coord = await getCoordinator(mysql("mysql://app:secret@127.0.0.1:3306/app"));
 * ```
 *
 * @module
 */
import { isIP } from "node:net";
import type { Backend } from "../driver.ts";
import {
  type Access,
  type AccessOptions,
  checkWithPool,
  readAccess,
  type Secret,
  type TlsOptions,
} from "../internal/access.ts";
import { sqlBackend } from "../internal/sql/backend.ts";
import {
  type Address,
  parseAddress,
  type Reader,
  redact,
  serversOf,
  text,
  unusable,
} from "../internal/url.ts";
import {
  type Endpoint,
  type MysqlClient,
  type MysqlPool,
  type MysqlPoolClient,
  type MysqlPromisePool,
  type MysqlQuery,
  ownSource,
  poolSource,
} from "./mysql/source.ts";
import { MysqlStore } from "./mysql/store.ts";

export type {
  AccessOptions,
  Backend,
  MysqlClient,
  MysqlPool,
  MysqlPoolClient,
  MysqlPromisePool,
  MysqlQuery,
  Secret,
  TlsOptions,
};

/** The options of the mysql driver. Each may stand in the URL's query too; what is given in code wins. */
export interface MysqlOptions extends AccessOptions {
  /** The database that has the tables; default: the URL's path, or `tooz`; of a pool, its own. */
  database?: string;
  /** The path of a Unix socket, instead of host and port. */
  socketPath?: string;
  /** So many locks one coordinator may wait for at once, each on a connection of its own; default 20. */
  maxWaiting?: number;
}

const SCHEMES = ["mysql", "mariadb"];

/**
 * Makes a backend of a database of MySQL or MariaDB. It connects nothing yet.
 *
 * @param from Where the database is: `mysql://user:password@host:port/database`; or what `createPool` of `mysql2` or
 *   `mysql2/promise` has made with `multipleStatements: true`, whose connections are then used.
 * @param options What the URL does not say.
 * @returns A backend for `getCoordinator`.
 * @throws {TypeError | RangeError} if the URL or an option cannot be used.
 *
 * @example
 * ```ts ignore
 * import { mysql } from "@tooz/coord/mysql";
 *
 * const backend = mysql("mysql://app@db.example/app", { password: "secret", tls: true });
 * ```
 */
export function mysql(
  from: string | URL | MysqlPool | MysqlPromisePool = "mysql://127.0.0.1:3306",
  options: MysqlOptions = {},
): Backend {
  const pool = poolOf(from);
  const url = pool ? "mysql:" : from as string | URL; // What else it can be.
  const address = parseAddress(url);
  const read = readAccess<MysqlOptions>("mysql", address, options, {
    own: { database: text, socketPath: text, maxWaiting: count },
  });
  const { maxWaiting = 20 } = read.options;
  if (!Number.isInteger(maxWaiting) || maxWaiting < 1) count(String(maxWaiting), "maxWaiting");
  const driver = { driver: "mysql", defaults: read.defaults, maxWaiting };
  const place = locate(address, read.options, redact(url));
  const source = pool
    ? poolSource(checkPool(pool, options), options.database)
    : ownSource({ ...place, access: checkName(read.access, place.host) });
  return sqlBackend(driver, (store) => MysqlStore.open(source, store));
}

function poolOf(from: string | URL | MysqlPool | MysqlPromisePool): MysqlPool | undefined {
  if (typeof from === "string" || from instanceof URL) return undefined;
  return "pool" in from ? from.pool : from;
}

/** @throws {TypeError} where it is none, or is to have what only the application can give it */
function checkPool(pool: MysqlPool, options: MysqlOptions): MysqlPool {
  if (typeof pool.getConnection !== "function" || "add" in pool) {
    throw new TypeError("Cannot use it as a pool of mysql: want what createPool() makes, of one server");
  }
  checkWithPool("mysql", options, ["database", "maxWaiting"]);
  return pool;
}

/** Where to connect, checked as far as can be without connecting. */
function locate(address: Address, options: MysqlOptions, shown: string): Omit<Endpoint, "access"> {
  const { scheme, path } = address;
  if (!SCHEMES.includes(scheme)) throw unusable(shown, `want scheme "mysql:", got "${scheme}:"`);
  const [server, ...more] = serversOf(address, 3306);
  if (!server || more.length > 0) {
    throw unusable(shown, "want one host: locks are one server's, replicas and clusters do not share them");
  }
  const { socketPath } = options;
  const database = options.database ?? (path.replace(/^\//, "") || "tooz");
  if (database.includes("/")) throw unusable(shown, "want one database as its path");
  return { ...server, database, ...(socketPath === undefined ? {} : { socketPath }) };
}

/** The client verifies names, and no addresses. */
function checkName(access: Access, host: string): Access {
  const { servername, rejectUnauthorized = true } = access.tls?.given ?? {};
  if (access.tls && rejectUnauthorized && servername === undefined && isIP(host) !== 0) {
    throw new TypeError(
      `Cannot use TLS of mysql with ${host}: its client verifies names only; want the host's name, or a "servername"`,
    );
  }
  return access;
}

const count: Reader<number> = (value, name) => {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1) {
    throw new RangeError(`Cannot use option "${name}": want a whole number from 1, got "${value}"`);
  }
  return number;
};
