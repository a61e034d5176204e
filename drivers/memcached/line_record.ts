import type { Mode } from "../../driver.ts";

/** An entry in the line of a lock. */
export interface LineItem {
  readonly id: string;
  readonly session: string;
  readonly mode: Mode;
  readonly token: bigint;
  readonly value: string;
}

/** The line of a lock or an election, as it stands in one item: the first entry holds, or all readers that lead. */
export interface LineRecord {
  /** The last token that was given; undefined: the item was made just now, and nobody has had one. */
  readonly last: bigint | undefined;
  readonly items: readonly LineItem[];
}

/** Of a line that has no item yet. */
export const NEW_LINE: LineRecord = { last: undefined, items: [] };

export function encodeLine({ last, items }: LineRecord): string {
  const lines = items.map(({ id, session, mode, token, value }) => [id, session, mode[0], `${token}`, value]);
  return JSON.stringify([last === undefined ? "" : `${last}`, ...lines]);
}

/** Throws where other software has written. */
export function decodeLine(text: string): LineRecord {
  // Written by encodeLine() alone.
  const [last, ...lines] = JSON.parse(text) as [string, ...[string, string, string, string, string][]];
  return {
    last: last === "" ? undefined : BigInt(last),
    items: lines.map(([id, session, mode, token, value]) => ({
      id,
      session,
      mode: mode === "s" ? "shared" : "exclusive",
      token: BigInt(token),
      value,
    })),
  };
}

/** The last one that must be gone before an entry has the lock; undefined: it has it. */
export function ahead(items: readonly LineItem[], own: LineItem): LineItem | undefined {
  const before = items.slice(0, items.indexOf(own));
  return own.mode === "exclusive" ? before.at(-1) : before.findLast(({ mode }) => mode === "exclusive");
}

/** How many entries, from the first on, hold the lock together. */
export function countHolders(items: readonly LineItem[]): number {
  if (items[0]?.mode !== "shared") return Math.min(items.length, 1);
  const writer = items.findIndex(({ mode }) => mode === "exclusive");
  return writer < 0 ? items.length : writer;
}
