import { Socket } from "node:net";
import { Client } from "pg";
import { type Access, type Credentials, credentials, type Patience } from "../../internal/access.ts";

/** A client of the `pg` package, as far as this driver needs to know it. */
export interface PostgresqlClient {
  /** The server's process, as the server told when the client connected. */
  readonly processID?: number | null;
  /** Asks; rows are lists of columns. */
  query(query: PostgresqlQuery): Promise<{ readonly rows: unknown[][] }>;
  /** Listens. */
  on(event: "error" | "end" | "notification", listener: (what?: unknown) => void): unknown;
  /** Gives the client back to its pool, or closes its connection. */
  release(destroy?: boolean): void;
}

/** A pool of the `pg` package, or what looks like one. */
export interface PostgresqlPool {
  /** A client of one's own, until it is released. */
  connect(): Promise<PostgresqlClient>;
}

/** What a client is asked. */
export interface PostgresqlQuery {
  /** The statement. */
  readonly text: string;
  /** Its parameters. */
  readonly values?: unknown[];
  /** Names a statement that the server is to remember. */
  readonly name?: string;
  /** Rows come as lists. */
  readonly rowMode: "array";
}

/** A connection that was made, and how to end it at once. */
export interface Link {
  readonly client: Omit<PostgresqlClient, "release">;
  destroy(): void;
}

/** Where connections come from. */
export interface Source {
  /** For errors. */
  readonly location: string;
  /** Connects; when the signal aborts, nothing is left of it. */
  connect(patience: Patience): Promise<Link>;
}

/** How to log in on a server. */
export interface Login {
  readonly host: string;
  readonly port: number;
  readonly database: string | undefined;
  readonly access: Access;
}

/** The client's settings for one connection, over a socket of ours. */
function settings({ host, port, database }: Login, { user, password, tls }: Credentials, socket: Socket) {
  const { servername, ...certificates } = tls ?? {};
  if (servername !== undefined) {
    // The client takes the host that it connects to for the name that it verifies.
    const connect = socket.connect.bind(socket);
    socket.connect = () => connect(port, host);
  }
  return {
    host: servername ?? host,
    port,
    ...(database === undefined ? {} : { database }),
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { password }),
    ssl: tls === undefined ? false : certificates,
    stream: () => socket,
    keepAlive: true,
    application_name: "coord",
  };
}

/** Connections of our own. */
export function ownSource(login: Login): Source {
  const { host, port, access } = login;
  return {
    location: host.startsWith("/") ? host : `${host}:${port}`,
    async connect(patience) {
      const { signal } = patience;
      const who = await credentials(access, patience);
      // With a socket of ours, it can be ended without waiting for anybody.
      const socket = new Socket();
      const client = new Client(settings(login, who, socket));
      client.on("error", () => {}); // Who asks something hears of it.
      const abort = () => socket.destroy();
      signal.addEventListener("abort", abort, { once: true });
      try {
        if (signal.aborted) throw signal.reason;
        await client.connect();
        return { client, destroy: () => socket.destroy() };
      } catch (error) {
        socket.destroy();
        throw signal.aborted ? signal.reason : error;
      } finally {
        signal.removeEventListener("abort", abort);
      }
    },
  };
}

/** Connections of a pool, which are not given back to it but closed: they have become sessions of ours. */
export function poolSource(pool: PostgresqlPool): Source {
  return {
    location: "the pool that was passed",
    async connect({ signal }) {
      const connecting = pool.connect();
      const late = Promise.withResolvers<never>();
      const abort = () => late.reject(signal.reason);
      signal.addEventListener("abort", abort, { once: true });
      if (signal.aborted) abort();
      try {
        const client = await Promise.race([connecting, late.promise]);
        let isOpen = true;
        const destroy = () => {
          if (isOpen) client.release(true);
          isOpen = false;
        };
        return { client, destroy };
      } catch (error) {
        // A pool that is exhausted may give one yet.
        void connecting.then((client) => client.release(), () => {});
        throw error;
      } finally {
        signal.removeEventListener("abort", abort);
      }
    },
  };
}
