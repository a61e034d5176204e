import { ConnectionError } from "../../core/errors.ts";
import type { Connection } from "./connection.ts";
import { ONE_AT_A_TIME, SCHEMA } from "./schema.ts";

const DENIED = "42501";

/** The first version that says since when somebody waits. */
const OLDEST = 14;

/** A backend that waits for a lock looks so often, in ms, whether its client is still there. */
const CLIENT_CHECK = "100ms";

/** What a connection is for. */
export interface Purpose {
  readonly driver: string;
  /** Of the session, in ms. */
  readonly ttl: number;
  /** Whether it only waits for the session. */
  readonly waits: boolean;
}

/** What must hold on our connections, whatever the administrator has set for others. Unknown ones are left out. */
function settingsFor({ ttl, waits }: Purpose): Record<string, string> {
  // A connection that nobody is heard on is given up after a ttl and not before: until then its session knows best.
  const idle = Math.max(1, Math.floor(ttl * 2 / 3000));
  const interval = Math.max(1, Math.floor(ttl / 10_000));
  return {
    statement_timeout: "0",
    lock_timeout: "0",
    idle_in_transaction_session_timeout: "0",
    // One that has waited for its session, which may have stopped, must not keep its turn.
    idle_session_timeout: waits ? `${Math.ceil(ttl)}ms` : "0",
    transaction_timeout: "0",
    default_transaction_isolation: "read committed",
    synchronous_commit: "on",
    search_path: "pg_catalog",
    client_min_messages: "error",
    jit: "off",
    tcp_user_timeout: `${Math.ceil(ttl)}ms`,
    tcp_keepalives_idle: String(idle),
    tcp_keepalives_interval: String(interval),
    tcp_keepalives_count: String(Math.ceil((ttl / 1000 - idle) / interval) + 1),
    client_connection_check_interval: CLIENT_CHECK,
  };
}

const LOOK = `
  select pg_backend_pid(), pg_is_in_recovery(), current_setting('transaction_read_only') = 'on',
    current_database(), current_user, current_setting('server_version_num')::integer,
    (select count(set_config(name, value, false)) from unnest($1::text[], $2::text[]) as s (name, value)
      where current_setting(name, true) is not null)`;

const IS_MADE = "select to_regprocedure('tooz.version()') is not null";

/**
 * Sets a connection up, and makes what the driver needs in the database if it is not there.
 * @throws {ConnectionError} when the server cannot be used, and says what to do
 */
export async function prepare(connection: Connection, purpose: Purpose): Promise<void> {
  const { driver } = purpose;
  const settings = settingsFor(purpose);
  const [row = []] = await connection.askSoon(LOOK, [Object.keys(settings), Object.values(settings)]);
  const [pid, isStandby, isReadOnly, database, user, version] = row;
  const refuse = (why: string, cause?: unknown) =>
    new ConnectionError(`Cannot use database "${database}": ${why}`, { driver, cause });
  if (connection.pid !== pid) {
    throw refuse(
      "a pooler such as PgBouncer stands before the server, and locks belong to connections; " +
        "connect to the server itself",
    );
  }
  if (Number(version) < OLDEST * 10_000) {
    throw refuse(
      `the server is of version ${Math.floor(Number(version) / 10_000)}; it takes ${OLDEST} or later`,
    );
  }
  if (isStandby) throw refuse("the server is a read-only standby; connect to the primary");
  if (isReadOnly) {
    throw refuse(`it is read-only for user "${user}" (default_transaction_read_only); locks need to write`);
  }
  try {
    const [[isMade] = []] = await connection.askSoon(IS_MADE);
    if (!isMade) await make(connection);
  } catch (error) {
    // A failed script leaves its transaction open.
    if (connection.isOpen) await connection.askSoon("rollback").catch(() => {});
    if (!(error instanceof Error && "code" in error && error.code === DENIED)) throw error;
    throw refuse(
      `user "${user}" may not make or use schema "tooz"; have its owner run what postgresqlSchema("${user}") gives`,
      error,
    );
  }
}

/** Makes the schema, unless somebody else was quicker: making it anew would be in the way of those who use it. */
async function make(connection: Connection): Promise<void> {
  await connection.askSoon("begin");
  await connection.askSoon(ONE_AT_A_TIME);
  const [[isMade] = []] = await connection.askSoon(IS_MADE);
  if (!isMade) await connection.askSoon(SCHEMA);
  await connection.askSoon("commit");
}

/** The script that makes what the driver needs, and lets a user have it who may not make it. */
export function schemaFor(user: string): string {
  const name = `"${user.replaceAll('"', '""')}"`;
  return `begin;
${ONE_AT_A_TIME};

${SCHEMA}

grant usage on schema tooz to ${name};
grant usage, select, update on all sequences in schema tooz to ${name};
grant select, insert, update, delete on all tables in schema tooz to ${name};
grant execute on all routines in schema tooz to ${name};
commit;
`;
}
