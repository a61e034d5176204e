import { connect } from "node:net";
import { type ConnectionOptions as Options, createConnection, type SslOptions } from "mysql2";
import { either } from "../../core/abort.ts";
import { type Access, type Credentials, credentials, type Patience } from "../../internal/access.ts";
import { Full, Interrupted } from "../../internal/sql/store.ts";
import { translate } from "./errors.ts";

/** What a client is asked. */
export interface MysqlQuery {
  /** The statement, or several. */
  readonly sql: string;
  /** The parameters of one that is prepared. */
  readonly values?: string[];
  /** Rows come as lists. */
  readonly rowsAsArray: true;
  /** And not as objects by the names of tables, which would come first. */
  readonly nestTables: false;
  /** What stands in it behind a colon is no placeholder. */
  readonly namedPlaceholders: false;
  /** Values come as bytes. */
  readonly typeCast: false;
}

/** A connection of the `mysql2` package, as far as this driver needs to know it. */
export interface MysqlClient {
  /** By which the server knows it. */
  readonly threadId: number | null;
  /** What it was made with. */
  readonly config: {
    /** Its default database. */
    readonly database?: string;
    /** Reads values in the place of the client, if it is a function. */
    readonly typeCast?: unknown;
    /** Writes statements in the place of the client, if it is a function. */
    readonly queryFormat?: unknown;
  };
  /** Asks one statement, or several. */
  query(query: MysqlQuery, done: (error: Error | null, results: unknown, fields: unknown) => void): unknown;
  /** Asks one statement that is prepared. */
  execute(query: MysqlQuery, done: (error: Error | null, results: unknown, fields: unknown) => void): unknown;
  /** Listens. */
  on(event: "error" | "end", listener: (cause?: unknown) => void): unknown;
  /** Closes it at once. */
  destroy(): void;
  /** Its socket. */
  readonly stream?: { destroy(): void };
}

/** A connection of a pool of the `mysql2` package. */
export interface MysqlPoolClient extends MysqlClient {
  /** Gives it back to its pool. */
  release(): void;
}

/** What `createPool` of the `mysql2` package makes. */
export interface MysqlPool {
  /** Calls back with a connection of one's own, until it is released. */
  getConnection(done: (error: Error | null, client: MysqlPoolClient) => void): void;
}

/** What `createPool` of `mysql2/promise` makes. */
export interface MysqlPromisePool {
  /** The pool that it stands on. */
  readonly pool: MysqlPool;
}

/** A connection that was made. */
export interface Link {
  readonly client: MysqlClient;
  /** By which the server knows it, as it told the client. */
  readonly id: number | null;
  /** The server's; undefined: others have set the connection up, and may have used it. */
  readonly version: string | undefined;
  /** That is to be used. */
  readonly database: string | undefined;
}

/** Where connections come from. */
export interface Source {
  /** For errors. */
  readonly location: string;
  /** Connects; when the signal aborts, nothing is left of it. */
  connect(patience: Patience): Promise<Link>;
  /** What it means that nothing came within so many ms. */
  silence(ms: number): string;
}

/** Where a server is, and who asks. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  /** A Unix socket, instead of host and port. */
  readonly socketPath?: string;
  readonly access: Access;
  readonly database: string;
}

/** Probes of the own side show a dead server to who only waits. */
const KEEP_ALIVE = 10_000;

/** Who connects now; rejects with `Interrupted` where that cannot be found out. */
async function present(access: Access, patience: Patience): Promise<Credentials> {
  try {
    return await credentials(access, patience);
  } catch (cause) {
    patience.signal.throwIfAborted();
    throw new Interrupted(cause instanceof Error ? cause.message : "there are no credentials", { cause });
  }
}

/** The client's settings for one connection. */
function settings({ socketPath, host, port, database }: Endpoint, who: Credentials): Options {
  const { user = "root", password, tls } = who;
  const { servername, rejectUnauthorized = true, ...certificates } = tls ?? {};
  return {
    ...(socketPath === undefined ? { host, port } : { socketPath }),
    user,
    ...(password === undefined ? {} : { password }),
    database,
    ...(tls &&
      { ssl: { ...certificates, rejectUnauthorized, verifyIdentity: rejectUnauthorized } as SslOptions }),
    // The client takes the host that it connects to for the name that it verifies.
    ...(servername === undefined
      ? {}
      : { host: servername, stream: () => connect({ host, port, noDelay: true }) }),
    charset: "utf8mb4_bin",
    multipleStatements: true,
    flags: ["-LOCAL_FILES"],
    connectTimeout: 0, // It has ours.
    keepAliveInitialDelay: KEEP_ALIVE,
    supportBigNumbers: true,
  };
}

/** What the server says when a connection is made. */
interface Greeting {
  readonly serverVersion: string;
  readonly connectionId: number;
}

/** Closes a connection at once: left to itself, the client waits for the server to close it too. */
export function disconnect(client: MysqlClient): void {
  client.destroy();
  client.stream?.destroy();
}

/** Connections of our own. */
export function ownSource(endpoint: Endpoint): Source {
  const { host, port, socketPath, database } = endpoint;
  return {
    location: socketPath ?? `${host}:${port}`,
    async connect(patience) {
      const client = createConnection(settings(endpoint, await present(endpoint.access, patience)));
      const { promise, resolve, reject } = Promise.withResolvers<Greeting>();
      client.once("connect", resolve);
      client.on("error", (error: unknown) => reject(translate(error)));
      client.on("end", () => reject(new Interrupted("the server closed the connection")));
      try {
        const { serverVersion: version, connectionId: id } = await either(promise, patience.signal);
        return { client, id, version, database };
      } catch (error) {
        disconnect(client);
        throw error;
      }
    },
    silence: (ms) => `no answer within ${Math.round(ms)} ms`,
  };
}

/** What a pool says that keeps nobody waiting, or not so many, and the option that says how many. */
const EXHAUSTED: ReadonlyMap<string, string> = new Map([
  ["No connections available.", "connectionLimit"],
  ["Queue limit reached.", "queueLimit"],
]);

/** Why a pool gives no connection. */
function refusalOf(error: Error): Error {
  const limit = EXHAUSTED.get(error.message);
  if (limit === undefined) return translate(error);
  return new Full(`the pool has no connection left: raise its ${limit}`, { cause: error });
}

/** Connections of a pool, which are not given back to it but closed: they have become sessions of ours. */
export function poolSource(pool: MysqlPool, database: string | undefined): Source {
  return {
    location: "the pool that was passed",
    connect: ({ signal }) =>
      new Promise((resolve, reject) => {
        const abort = () => reject(signal.reason);
        signal.addEventListener("abort", abort, { once: true });
        pool.getConnection((error, client) => {
          signal.removeEventListener("abort", abort);
          if (error) return reject(refusalOf(error));
          // A pool that is exhausted may give one yet.
          if (signal.aborted) return client.release();
          resolve({
            client,
            id: client.threadId,
            version: undefined,
            database: (database ?? client.config.database) || undefined,
          });
        });
      }),
    silence: (ms) =>
      `the pool gave no connection that answers within ${Math.round(ms)} ms; ` +
      "raise its connectionLimit if it is exhausted",
  };
}
