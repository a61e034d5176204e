import type { DriverFactory } from "../../driver.ts";
import { mysql } from "../../drivers/mysql.ts";
import { postgresql } from "../../drivers/postgresql.ts";
import { startMariadb, startMysql } from "../servers/mysql.ts";
import { startPostgresql } from "../servers/postgresql.ts";
import type { Server } from "../servers/server.ts";

/** A product of which a connection is the session. */
export interface Database {
  readonly factory: DriverFactory;
  readonly server: () => Promise<Server>;
}

/** By the name of the backend in the conformance suite. */
export const DATABASES: Readonly<Record<string, Database>> = {
  mysql: { factory: mysql, server: () => startMariadb() },
  mysql_9: { factory: mysql, server: () => startMysql() },
  postgresql: { factory: postgresql, server: () => startPostgresql() },
};
