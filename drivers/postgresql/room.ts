import { Full } from "../../internal/sql/store.ts";

/** What raises the limit on connections that was reached, by the server's function that found it reached. */
const CONNECTIONS: ReadonlyMap<string, string> = new Map([
  ["InitializeSessionUserId", "raise its CONNECTION LIMIT (ALTER ROLE)"],
  ["CheckMyDatabase", "raise its CONNECTION LIMIT (ALTER DATABASE)"],
  [
    "InitPostgres",
    "raise max_connections, or reserve fewer (superuser_reserved_connections, reserved_connections)",
  ],
]);

/** An error as the client makes it of the server's: what it says may be in another language, save for names. */
interface ServerError extends Error {
  readonly code?: string;
  readonly hint?: string;
  readonly routine?: string;
}

/** What makes room, by the class 53 of errors; undefined: the server lacks none. */
function adviceOn({ code, hint = "", routine = "" }: ServerError): string | undefined {
  if (code === "53300") return CONNECTIONS.get(routine) ?? "raise max_connections, or have fewer connections";
  if (code === "53200") return `raise ${/max_\w+/.exec(hint)?.[0] ?? "what the server has of memory"}`;
  if (code === "53100") return "make room on its disk";
  return code?.startsWith("53") ? "raise that limit" : undefined;
}

/** What a refusal is that says that there is no room; undefined: it says something else. */
export function fullFrom(error: ServerError): Full | undefined {
  const advice = adviceOn(error);
  return advice === undefined ? undefined : new Full(`${error.message}; ${advice}`, { cause: error });
}
