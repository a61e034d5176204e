import { type Connection, createConnection, type RowDataPacket } from "mysql2/promise";
import type { Opener, Session } from "../../driver.ts";
import { mysql, type MysqlOptions } from "../../drivers/mysql.ts";
import { Connection as DriverConnection } from "../../drivers/mysql/connection.ts";
import { TABLES } from "../../drivers/mysql/schema.ts";
import { ownSource } from "../../drivers/mysql/source.ts";
import { systemClock } from "../../internal/clock.ts";
import { type Coordinator, type CoordinatorOptions, getCoordinator } from "../../mod.ts";
import { findBinary } from "../servers/binaries.ts";
import { type MysqlServerOptions, startMariadb, startMysql } from "../servers/mysql.ts";
import type { ServerProcess } from "../servers/server.ts";
import { NOBODY } from "./nobody.ts";

/** Both products; MySQL is there only on days on which it could be fetched. */
export const PRODUCTS: readonly {
  readonly name: "MariaDB" | "MySQL";
  readonly isHere: boolean;
  readonly start: (options?: MysqlServerOptions) => Promise<ServerProcess>;
}[] = [
  { name: "MariaDB", isHere: findBinary("mariadbd") !== undefined, start: startMariadb },
  { name: "MySQL", isHere: findBinary("mysqld", "sid") !== undefined, start: startMysql },
];

/** A server, and what an operator sees and does there. */
export class World implements AsyncDisposable {
  readonly server: ServerProcess;
  readonly admin: Connection;
  readonly #ends: (() => Promise<unknown>)[] = [];

  private constructor(server: ServerProcess, admin: Connection) {
    this.server = server;
    this.admin = admin;
  }

  static async start(start: () => Promise<ServerProcess>): Promise<World> {
    const server = await start();
    return new World(server, await adminOf(server));
  }

  get url(): string {
    return this.server.url;
  }

  /** The first column of the first row. */
  async ask(query: string): Promise<unknown> {
    const [rows] = await this.admin.query<RowDataPacket[]>(query);
    return Object.values(rows[0] ?? {})[0];
  }

  async count(table: string): Promise<number> {
    return Number(await this.ask(`select count(*) from coord.${table}`));
  }

  /** How many rows each table of the driver has. */
  async rows(): Promise<Readonly<Record<string, number>>> {
    const tables = Object.keys(TABLES);
    return Object.fromEntries(
      await Promise.all(tables.map(async (table) => [table, await this.count(table)] as const)),
    );
  }

  /** The connections of the driver's user. */
  async connections(): Promise<number[]> {
    const [rows] = await this.admin.query<RowDataPacket[]>("show processlist");
    return rows.filter((row) => row.User === "coord").map((row) => Number(row.Id));
  }

  async open(options: CoordinatorOptions = {}, own: MysqlOptions = {}): Promise<Coordinator> {
    const coord = await getCoordinator(mysql(this.url, own), options);
    this.#ends.push(() => coord.close());
    return coord;
  }

  /** A session alone, which nobody replaces when it is lost; nobody looks by itself in it. */
  async session(memberId: string): Promise<Session> {
    const opener = mysql(this.url) as Opener; // What the factory makes is an opener to those who know.
    const session = await opener.open({
      memberId,
      incarnation: crypto.randomUUID(),
      namespace: "tooz",
      ttl: 600_000,
      timeout: 10_000,
      signal: new AbortController().signal,
      longest: 10_000,
      note: () => {},
    });
    this.#ends.push(() => session.close());
    return session;
  }

  /** A connection of the driver. */
  connect(): Promise<DriverConnection> {
    const { port } = this.server;
    const login = { database: "coord", access: { ...NOBODY, user: "coord" } };
    return DriverConnection.open(ownSource({ host: "127.0.0.1", port, ...login }), {
      clock: systemClock,
      limit: 10_000,
      idle: 600_000,
      signal: new AbortController().signal,
      broken: () => {},
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#ends.map((end) => end()));
    this.admin.destroy();
    await this.server.stop();
  }
}

/** A connection that may do everything. */
export async function adminOf({ port }: { port: number }): Promise<Connection> {
  const admin = await createConnection({
    host: "127.0.0.1",
    port,
    user: "admin",
    multipleStatements: true,
  });
  admin.on("error", () => {}); // Servers are killed here.
  return admin;
}
