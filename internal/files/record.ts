import type { Entry, Mode } from "../../driver.ts";
import { isSessionId } from "./liveness.ts";

/** What a holder or a waiter writes of itself. */
export interface OwnerRecord {
  readonly session: string;
  readonly memberId: string;
  readonly attempt: string;
  readonly mode: Mode;
  readonly token?: bigint;
  readonly since?: number;
  readonly value: string;
}

/** As text, where a token is a string: JSON has no numbers of its size. */
export function formatRecord(record: OwnerRecord): string {
  const { session, memberId, attempt, mode, token, since, value } = record;
  return JSON.stringify({ session, memberId, attempt, mode, since, value, token: token?.toString() });
}

/** Undefined: torn, or not ours. */
export function parseRecord(text: string): OwnerRecord | undefined {
  const record = parseObject(text);
  if (!record) return undefined;
  const { session, memberId, attempt, mode, token, since, value } = record;
  if (!isSessionId(session) || typeof memberId !== "string" || typeof attempt !== "string") return undefined;
  if ((mode !== "exclusive" && mode !== "shared") || typeof value !== "string") return undefined;
  return {
    session,
    memberId,
    attempt,
    mode,
    ...typeof token === "string" && /^\d{1,19}$/.test(token) && { token: BigInt(token) },
    ...typeof since === "number" && { since },
    value,
  };
}

/** An object's properties; undefined: the text is none. */
export function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    // Nothing is known of the properties but their names.
    return typeof value === "object" && value !== null ? value as Record<string, unknown> : undefined;
  } catch {
    return undefined;
  }
}

export function toEntry({ session: _, ...entry }: OwnerRecord): Entry {
  return entry;
}
