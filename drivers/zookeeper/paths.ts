import type { Mode, Target } from "../../driver.ts";

/** What stands in a path of ZooKeeper for something else, or is refused there: all pairs of surrogates among it. */
const UNFIT = /[/%\p{Cc}\ue000-\uf8ff\ufff0-\uffff]|[\u{10000}-\u{10ffff}]/gu;

/** Makes a part of a path of any text: no two texts make the same, and `unescapePart` gives the text back. */
export function escapePart(text: string): string {
  const part = text.replace(UNFIT, encodeURIComponent);
  // A path refuses "." and "..", and a server keeps the name "zookeeper" at its root for itself.
  return /^(\.\.?|zookeeper)$/.test(part) ? `%${part.charCodeAt(0).toString(16)}${part.slice(1)}` : part;
}

/** The text of which `escapePart` made a part; a foreign part that is not one stays as it is. */
export function unescapePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // Other software named it.
  }
}

/** The directory of a lock or an election. */
export function lineDirectory(root: string, { kind, name }: Target): string {
  return `${root}/${kind}s/${escapePart(name)}`;
}

/** All the directories above a node, the outermost first. */
export function ancestors(path: string): string[] {
  const parts = path.split("/").slice(1, -1);
  return parts.map((_, i) => `/${parts.slice(0, i + 1).join("/")}`);
}

/** An entry of a line, as its name tells it. */
export interface EntryName {
  readonly name: string;
  readonly id: string;
  readonly mode: Mode;
  /** Given by the server, in the order of arrival; a signed number of 32 bits that runs over. */
  readonly sequence: number;
}

/** How the name of an entry begins; the server adds the sequence number. */
export function entryPrefix(id: string, mode: Mode): string {
  return `${id}-${mode === "shared" ? "read" : "write"}-`;
}

/** Reads the names of the entries of a line, in their order. What has no sequence number is none. */
export function readEntries(names: readonly string[]): EntryName[] {
  const entries: EntryName[] = [];
  for (const name of names) {
    const [, id, word, sequence] = /^(.*?)(-read-|-write-)?(\d{10}|-[12]?\d{9})$/s.exec(name) ?? [];
    if (sequence === undefined) continue;
    entries.push({
      name,
      id: word === undefined ? name : id ?? "",
      mode: word === "-read-" ? "shared" : "exclusive",
      sequence: Number(sequence),
    });
  }
  // The difference in 32 bits is right on both sides of the overflow, as long as less than half of them are in use.
  return entries.sort((a, b) => (a.sequence - b.sequence) | 0);
}

/** The last entry that must be gone before another one has the lock. */
export function predecessor(entries: readonly EntryName[], own: EntryName): EntryName | undefined {
  const before = entries.slice(0, entries.findIndex(({ name }) => name === own.name));
  return own.mode === "exclusive" ? before.at(-1) : before.findLast(({ mode }) => mode === "exclusive");
}
