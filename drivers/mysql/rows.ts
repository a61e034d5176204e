import type { Connection } from "./connection.ts";
import { livesOn, NOBODY } from "./names.ts";
import { ringOn } from "./news.ts";
import { all, Raw, sql } from "./sql.ts";

/** The tables whose rows belong to a session. */
const OWNED = ["tooz_hold", "tooz_wait", "tooz_watch", "tooz_member", "tooz_session"];

/** So many dead sessions are buried at once. */
const MANY = 1000;

/** Tells those who have to know that a session is dead, and removes what it has left behind. */
export async function buryOn(connection: Connection, session: string): Promise<void> {
  // First, as nobody believes its rows any more: who ends halfway leaves the session to the next one.
  await tellOn(connection, await topicsOn(connection, session));
  await removeOn(connection, session);
}

/** Removes what is a living session's, and tells those who have to know. */
export async function leaveOn(connection: Connection, session: string): Promise<void> {
  const topics = await topicsOn(connection, session);
  await removeOn(connection, session);
  await tellOn(connection, topics);
}

/** What others may watch of a session. */
async function topicsOn(connection: Connection, session: string): Promise<string[]> {
  const [members, holds] = await connection.insist(all(
    sql`select distinct base from tooz_member where session = ${session}`,
    sql`select distinct base from tooz_hold where session = ${session}`,
  ));
  return [
    ...(members?.rows ?? []).map(([base]) => `g.${base}`),
    ...(holds?.rows ?? []).map(([base]) => `e.${base}`),
  ];
}

async function removeOn(connection: Connection, session: string): Promise<void> {
  const removals = OWNED.map((table) => sql`delete from ${new Raw(table)} where session = ${session}`);
  await connection.insist(all(...removals));
}

async function tellOn(connection: Connection, topics: readonly string[]): Promise<void> {
  if (topics.length > 0) await ringOn(connection, sql`topic in (${topics})`);
}

/** Buries all dead sessions: those that had locks alone are in nobody's ring. */
export async function buryAllOn(connection: Connection): Promise<void> {
  const sessions = new Raw(OWNED.map((table) => `select session from ${table}`).join(" union "));
  const [dead] = await connection.ask(
    sql`select session from (${sessions}) every where session <> ${NOBODY} and ${
      livesOn("session")
    } is null limit ${MANY}`,
  );
  for (const [session] of dead?.rows ?? []) if (session) await buryOn(connection, session);
}
