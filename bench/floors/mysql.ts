/** The least that MySQL and MariaDB can do: a user lock and the next number of its row in one statement; its release. */
import { type Connection, createConnection, type ResultSetHeader } from "mysql2/promise";

const FENCE =
  "create table if not exists floor_fence (name varchar(64) primary key, n bigint unsigned not null)";
const take = (name: string) =>
  `insert into floor_fence (name, n) select '${name}', last_insert_id(1) from (select 1) one
  where get_lock('${name}', 0) = 1 on duplicate key update n = last_insert_id(n + 1)`;

/** A connection of the client alone, and the row that counts. */
export async function connect(url: string): Promise<Connection> {
  const connection = await createConnection(url.replace("mariadb:", "mysql:"));
  await connection.query(FENCE);
  return connection;
}

/** Takes a lock with a number that grows. */
export async function acquire(connection: Connection, name: string): Promise<void> {
  const [{ affectedRows }] = await connection.query<ResultSetHeader>(take(name));
  if (affectedRows === 0) throw new Error("Cannot take the lock: somebody else holds it");
}

/** Gives it back. */
export async function release(connection: Connection, name: string): Promise<void> {
  await connection.query(`select release_lock('${name}')`);
}

/** One acquire and release a time, alone. */
export async function floor(url: string): Promise<{ once(): Promise<void>; close(): Promise<void> }> {
  const connection = await connect(url);
  return {
    async once() {
      await acquire(connection, "alone");
      await release(connection, "alone");
    },
    close: () => connection.end(),
  };
}
