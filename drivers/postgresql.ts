/**
 * Coordination in a PostgreSQL database: advisory locks that wait in the server and go with their connection, groups
 * in tables, and changes that are told at once.
 *
 * @example
 * ```ts ignore
 * import { getCoordinator } from "@tooz/coord";
 * import { postgresql } from "@tooz/coord/postgresql";
 *
 * await using coord = await getCoordinator(postgresql("postgresql://user@127.0.0.1/app"));
 * ```
 *
 * @module
 */
import type { Backend, Defaults } from "../driver.ts";
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
  oneOf,
  parseAddress,
  type Reader,
  redact,
  serversOf,
  text,
  unusable,
} from "../internal/url.ts";
import { schemaFor } from "./postgresql/prepare.ts";
import {
  ownSource,
  poolSource,
  type PostgresqlClient,
  type PostgresqlPool,
  type PostgresqlQuery,
  type Source,
} from "./postgresql/source.ts";
import { PostgresqlStore } from "./postgresql/store.ts";

export type { AccessOptions, Backend, PostgresqlClient, PostgresqlPool, PostgresqlQuery, Secret, TlsOptions };

/** The options of the PostgreSQL driver. Each may stand in the URL's query too; what is given in code wins. */
export interface PostgresqlOptions extends AccessOptions {
  /** How many contended locks one coordinator can wait for at once, on a connection each; default 20. */
  maxWaiting?: number;
  /** The folder of the server's Unix socket, such as `/run/postgresql`; then the URL's host is not used. */
  host?: string;
  /**
   * As for libpq: `disable`, no TLS; `require`, TLS that verifies nothing, unless there is a `ca`; `verify-full`, the same
   * as `tls: true`. Default: what `tls` says. In a URL `sslrootcert`, `sslcert` and `sslkey` are `ca`, `cert` and `key`.
   */
  sslmode?: "disable" | "require" | "verify-full";
}

/** What libpq calls them. */
const WORDS: Readonly<Record<string, string>> = { sslrootcert: "ca", sslcert: "cert", sslkey: "key" };

const MOST_WAITING = 20;

const count: Reader<number> = (value, name) => checkCount(Number(value), name);

function checkCount(value: number, name: string): number {
  if (Number.isInteger(value) && value > 0) return value;
  throw new RangeError(`Cannot use option "${name}": want a whole number from 1, got "${value}"`);
}

/**
 * Makes a backend of a PostgreSQL database. It connects nothing yet.
 *
 * @param from Where the database is: `postgresql://user:password@host:port/database`, with several hosts of which one
 *   can be written to, or `postgresql:///database?host=/run/postgresql`; or a `pg.Pool`, whose clients are then used.
 *   Default `postgresql://127.0.0.1:5432`.
 * @param options What the URL does not say.
 * @returns A backend for `getCoordinator`.
 * @throws {TypeError} if the URL or an option cannot be used.
 * @throws {RangeError} if a number among the options cannot be used.
 *
 * @example
 * ```ts ignore
 * import { postgresql } from "@tooz/coord/postgresql";
 *
 * const backend = postgresql("postgresql://jobs:secret@10.0.0.1/app?sslmode=verify-full");
 * ```
 */
export function postgresql(
  from: string | URL | PostgresqlPool = "postgresql://127.0.0.1:5432",
  options: PostgresqlOptions = {},
): Backend {
  const { maxWaiting, defaults, sources } = locate(from, options);
  const driver = { driver: "postgresql", defaults, maxWaiting: checkCount(maxWaiting, "maxWaiting") };
  return sqlBackend(driver, (store) => PostgresqlStore.open(sources, store));
}

/**
 * The SQL that makes what the driver needs in a database, for one who may, and lets `user` have it.
 *
 * @param user The database user of the program, who need not be allowed to make anything then.
 * @returns A script for `psql`.
 *
 * @example
 * ```ts ignore
 * import { postgresqlSchema } from "@tooz/coord/postgresql";
 *
 * console.log(postgresqlSchema("jobs"));
 * ```
 */
export function postgresqlSchema(user: string): string {
  return schemaFor(user);
}

interface Located {
  readonly maxWaiting: number;
  readonly defaults: Defaults;
  readonly sources: readonly Source[];
}

function locate(from: string | URL | PostgresqlPool, given: PostgresqlOptions): Located {
  const isPool = typeof from === "object" && "connect" in from && typeof from.connect === "function";
  const address = parseAddress(isPool ? "postgresql:" : from as string | URL); // What else it can be.
  const query = new Map([...address.query].map(([name, value]) => [WORDS[name] ?? name, value]));
  const { options, access, defaults } = readAccess<PostgresqlOptions>(
    "postgresql",
    { ...address, query },
    given,
    {
      own: { maxWaiting: count, host: text, sslmode: oneOf("disable", "require", "verify-full") },
    },
  );
  const { maxWaiting = MOST_WAITING } = options;
  if (isPool) {
    checkWithPool("postgresql", given, ["maxWaiting"]);
    return { maxWaiting, defaults, sources: [poolSource(from as PostgresqlPool)] };
  }
  const who = { ...access, tls: encrypt(access.tls, options.sslmode) };
  return {
    maxWaiting,
    defaults,
    sources: servers(address, { host: options.host, access: who }, redact(from as URL)),
  };
}

/** What libpq's word makes of the other options. */
function encrypt(tls: Access["tls"], sslmode: PostgresqlOptions["sslmode"]): Access["tls"] {
  if (sslmode === undefined) return tls;
  oneOf("disable", "require", "verify-full")(sslmode, "sslmode"); // In code it was read by nobody yet.
  if (sslmode === "disable") {
    if (tls) {
      throw new TypeError(
        'Cannot use option "sslmode" of postgresql: it is "disable", but others ask for TLS',
      );
    }
    return undefined;
  }
  const { given, files } = tls ?? { given: {}, files: {} };
  const hasCa = given.ca !== undefined || files["ca"] !== undefined;
  const isBlind = sslmode === "require" && !hasCa && given.rejectUnauthorized === undefined;
  return { given: isBlind ? { ...given, rejectUnauthorized: false } : given, files };
}

/** Where to connect, checked as far as can be without connecting. */
function servers(
  address: Address,
  { host, access }: { readonly host: string | undefined; readonly access: Access },
  shown: string,
): Source[] {
  const { scheme, path } = address;
  if (scheme !== "postgresql" && scheme !== "postgres") {
    throw unusable(shown, `want scheme "postgresql:", got "${scheme}:"`);
  }
  const database = path.replace(/^\//, "");
  if (database.includes("/")) throw unusable(shown, "a database's name is all of its path");
  const hosts = serversOf(address, 5432);
  const places = host === undefined ? hosts : hosts.slice(0, 1).map(({ port }) => ({ host, port }));
  return places.map((place) => ownSource({ ...place, database: database || undefined, access }));
}
