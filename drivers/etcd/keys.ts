import { Buffer } from "node:buffer";
import type { Kind, Target } from "../../driver.ts";

/** Keys from one to another, which is not among them; or one key. */
export interface KeyRange {
  readonly key: Buffer;
  readonly range_end?: Buffer;
}

/** The keys of a namespace: parts never hold a slash, so no key is the beginning of another's part. */
export class Keys {
  readonly #root: string;
  readonly #prefixes: Readonly<Record<Kind, string>>;

  constructor(
    namespace: string,
    { lockPrefix, electionPrefix }: { lockPrefix?: string; electionPrefix?: string },
  ) {
    this.#root = escape(namespace);
    this.#prefixes = {
      lock: lockPrefix ?? `${this.#root}/locks/`,
      election: electionPrefix ?? `${this.#root}/elections/`,
    };
  }

  /** Under which all entries of a lock are. */
  line({ kind, name }: Target): string {
    return `${this.#prefixes[kind]}${escape(name)}/`;
  }

  /** Under which the names of all groups are. */
  get groups(): string {
    return `${this.#root}/groups/`;
  }

  /** Under which all of a group is; the folder's own key is the group. */
  group(id: string): string {
    return `${this.#root}/members/${escape(id)}/`;
  }
}

/** A part of a key, without slashes. */
export function escape(part: string): string {
  return part.replace(/[%/]/g, encodeURIComponent);
}

export function unescape(part: string): string {
  return part.replace(/%25|%2F/g, decodeURIComponent);
}

export function one(key: string): KeyRange {
  return { key: Buffer.from(key) };
}

/** All keys that begin with a text. */
export function under(prefix: string): Required<KeyRange> {
  const end = Buffer.from(prefix);
  // Prefixes end with a slash, which is not the greatest byte.
  end[end.length - 1] = (end.at(-1) ?? 0) + 1;
  return { key: Buffer.from(prefix), range_end: end };
}

/** All keys from a text up to another. */
export function between(from: string, to: string): Required<KeyRange> {
  return { key: Buffer.from(from), range_end: Buffer.from(to) };
}
