import type { Link } from "./link.ts";
import { items, type Pair, readPair } from "./pair.ts";

/** The keys below a prefix, and after which index changes of them are news. */
export interface Tree {
  readonly pairs: readonly Pair[];
  readonly index: string;
}

/** What is waited for: a key, or all keys below a prefix, and changes after which index. */
export interface Awaited {
  readonly key: string;
  readonly isPrefix: boolean;
  readonly index: string;
}

/**
 * How long the server holds a request for changes, in ms. It does so too when the client is gone, and counts the
 * connection, so that many waits that are given up soon would use up what it lets one client have.
 */
const WINDOW = 20_000;

const FOLDERS = { keys: "1", separator: "/" };

const LINEARIZABLE = { consistent: "1" };

/** Reads all keys below a prefix. Linearizable. */
export async function readTree(link: Link, prefix: string): Promise<Tree> {
  const { body, index } = await link.ask(reading(prefix, { recurse: "1", ...LINEARIZABLE }));
  return { pairs: items(body).map(readPair), index };
}

/** The folders below a prefix, as prefixes, and after which index changes below them are news. Linearizable. */
export async function readFolders(link: Link, prefix: string): Promise<{ folders: string[]; index: string }> {
  const { body, index } = await link.ask(reading(prefix, { ...FOLDERS, ...LINEARIZABLE }));
  return { folders: items(body).map(String), index };
}

/** Resolves when there is a change after an index, or may be. */
export async function changed(link: Link, awaited: Awaited, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { key, isPrefix, index } = awaited;
  // Without an index there is nothing to compare with: better look.
  if (!/^[1-9]\d*$/.test(index)) return;
  const query = { index, wait: `${WINDOW}ms`, ...(isPrefix ? FOLDERS : {}) };
  for (;;) {
    const answer = await link.wait(reading(key, query), { limit: WINDOW, signal });
    // Less than before is news too: the server counts anew.
    if (answer.index !== index) return;
  }
}

function reading(key: string, query: Readonly<Record<string, string>>) {
  return { method: "GET", path: "/kv/{key}", params: { key }, query } as const;
}
