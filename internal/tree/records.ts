/** What is written into nodes. */

/** What others may read of an entry. */
export interface EntryText {
  readonly memberId: string;
  readonly attempt: string;
  readonly value: string;
}

export function encodeEntry({ memberId, attempt, value }: EntryText): string {
  return JSON.stringify([memberId, attempt, value]);
}

/** Undefined: it is not one of ours. */
export function decodeEntry(text: string): EntryText | undefined {
  const [memberId, attempt, value] = parseList(text);
  const isOurs = typeof memberId === "string" && typeof attempt === "string" && typeof value === "string";
  return isOurs ? { memberId, attempt, value } : undefined;
}

/** A member as it stands in its node. */
export interface MemberText {
  readonly presence: string;
  readonly incarnation: string;
  /** In ms since 1970, by the member's clock. */
  readonly joinedAt: number;
  readonly updatedAt: number;
  readonly data: string;
}

export function encodeMember({ presence, incarnation, joinedAt, updatedAt, data }: MemberText): string {
  // The data stand apart: as a string in JSON they would grow.
  return `${JSON.stringify([presence, incarnation, joinedAt, updatedAt])}\n${data}`;
}

/** Undefined: it is not one of ours. */
export function decodeMember(text: string): MemberText | undefined {
  const end = text.indexOf("\n");
  const [presence, incarnation, joinedAt, updatedAt] = parseList(text.slice(0, Math.max(end, 0)));
  if (typeof presence !== "string" || typeof incarnation !== "string") return undefined;
  return {
    presence,
    incarnation,
    joinedAt: Number(joinedAt),
    updatedAt: Number(updatedAt),
    data: text.slice(end + 1),
  };
}

function parseList(text: string): unknown[] {
  try {
    const parsed: unknown = JSON.parse(text);
    return Array.isArray(parsed) ? parsed : [];
  } catch {
    return []; // Written by other software.
  }
}
