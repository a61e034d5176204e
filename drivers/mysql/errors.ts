import { CapacityError } from "../../core/errors.ts";
import { Cancelled, Full, Interrupted } from "../../internal/sql/store.ts";

/** What the servers say, by number, where their own words would not tell what to do. */
const WORDS: ReadonlyMap<number, string> = new Map([
  [1044, "the user may not use the database"],
  [1045, "the server refuses the user: the password is wrong, or it demands another certificate"],
  [1049, "the database does not exist: create it, the tables are made by themselves"],
  [1290, "it is read-only, as a replica is: name the one that takes writes"],
  [1836, "it is read-only, as a replica is: name the one that takes writes"],
]);

/** The same of those that mean that there is no room. */
const NO_ROOM: ReadonlyMap<number, (message: string) => string> = new Map([
  [1021, (message) => `${message}: make room on the server's disk`],
  [1037, giveMemory],
  [1038, giveMemory],
  [1040, () => "it has no connection left: raise its max_connections, or close some"],
  [1041, giveMemory],
  [1114, (message) => `${message}: make room on the server's disk, or let the table space grow`],
  [1135, (message) => `${message}: let the server have more threads and memory`],
  [1203, () => "the user has no connection left: raise its max_user_connections"],
  [1206, (message) => `${message}: raise innodb_buffer_pool_size`],
  [1226, raiseUsers],
]);

function giveMemory(message: string): string {
  return `${message}: give the server more memory`;
}

/** The name of the limit stands in quotes. */
function raiseUsers(message: string): string {
  const [, limit = "limits"] = /'(max_\w+)'/.exec(message) ?? [];
  return `the user has used up what the server allows it: raise its ${limit} (ALTER USER)`;
}

/** More at once than the server reads. */
const TOO_LARGE = 1153;

/** "DELETE command denied to user …": the server says which right lacks. */
const DENIED = 1142;

/** The query was ended by KILL QUERY, or for a deadlock or a row that changed under it: it can be asked again. */
const ENDED: ReadonlySet<number> = new Set([1020, 1213, 1317, 1969, 3024, 3058]);

/** An error as the client library makes it. */
interface ServerError extends Error {
  readonly errno?: number;
  readonly fatal?: boolean;
  readonly sqlState?: string;
}

/** The number of a server's error; undefined: it is none, such as a connection that broke. */
export function numberOf(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined;
  const { errno, sqlState }: ServerError = error;
  return typeof errno === "number" && errno >= 1000 && sqlState !== undefined ? errno : undefined;
}

/** The server reads no more than so much at once. */
export function tooLarge(why: string, cause?: unknown): CapacityError {
  const message =
    `Cannot store that in the database: the data are too large; raise max_allowed_packet: ${why}`;
  return new CapacityError(message, { driver: "mysql", cause });
}

/** The server's refusal in words that say what to do, an end from elsewhere, or an answer that will not come. */
export function translate(error: unknown): Error {
  const number = numberOf(error);
  const { message } = error as ServerError;
  if (number === undefined) return new Interrupted(message || "the connection broke", { cause: error });
  if (ENDED.has(number)) return new Cancelled(message, { cause: error });
  // The server ends the connection with these.
  if (number === 1053 || number === 1927 || number === 4031) {
    return new Interrupted(message, { cause: error });
  }
  if (number === TOO_LARGE) return tooLarge(message, error);
  const describe = NO_ROOM.get(number);
  if (describe) return new Full(describe(message), { cause: error });
  if (number === DENIED) {
    const rights = "SELECT, INSERT, UPDATE and DELETE on the tables, and CREATE once";
    return new Error(`${message}: it needs ${rights}`, { cause: error });
  }
  return new Error(WORDS.get(number) ?? message, { cause: error });
}
