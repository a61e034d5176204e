import type { Target } from "../../driver.ts";
import { digest, Raw, sql } from "./sql.ts";

/**
 * Names of user locks, which are the whole server's, whatever the database, have 64 characters at most, and are compared
 * without regard to case: so they are hashes.
 */

/** What the locks and rows of a lock or an election are named by. */
export function lockBase(database: string, namespace: string, { kind, name }: Target): string {
  return digest(database, namespace, kind, name);
}

export function groupBase(database: string, namespace: string, id: string): string {
  return digest(database, namespace, "group", id);
}

/** Who waits for a lock. */
export function turnstile(base: string): string {
  return `tooz.q.${base}`;
}

/** Who holds it; after each break it is another. */
export function hold(base: string, generation: bigint): string {
  return `tooz.h.${base}.${generation}`;
}

/** A shared hold has its own. */
export function reader(attempt: string): string {
  return `tooz.r.${digest(attempt)}`;
}

/** Held by every live session. */
export function presence(session: string): string {
  return `${PRESENCE}${session}`;
}

/** Where no session is, nor a user lock: servers refuse empty names. */
export const NOBODY = "-";

/** Held by every live session too: what its own other connection waits for when there is nothing else. */
export function rest(session: string): string {
  return `tooz.e.${session}`;
}

const PRESENCE = "tooz.s.";

/** The connection that has the presence of the session in a column; null: the session is dead. */
export function livesOn(column: string): Raw {
  return sql`is_used_lock(concat(${PRESENCE}, ${new Raw(column)}))`;
}

/** The connection of a session that waits: it has this lock, so that its id is never an old one. */
export const EAR = "tooz.w.";
