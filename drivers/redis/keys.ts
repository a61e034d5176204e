import type { Target } from "../../driver.ts";

/** What would end a hash tag, or separates the parts of a key, message or record. */
const RESERVED = /[%{}: ]/;

/** Text as it may stand in a key; `decode` gives it back. */
export function encode(text: string): string {
  if (!RESERVED.test(text)) return text;
  return text.replace(/[%{}: ]/g, (char) => `%${char.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

/** Undoes `encode`. */
export function decode(text: string): string {
  return text.replace(/%([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}

/** The names of keys and channels. All keys of one lock or group begin with its tag, so that they share a slot. */
export class Keys {
  /** What the keys and channels of sessions begin with: `root:s:<sid>` and `root:c:<sid>`. On a cluster keys do not. */
  readonly root: string;

  constructor(namespace: string) {
    this.root = encode(namespace);
  }

  /** What shares its slot with nothing but the session itself. */
  home(sid: string): string {
    return `{${this.root}:s:${sid}}`;
  }

  /** Where a session is told what concerns it. */
  channel(sid: string): string {
    return `${this.root}:c:${sid}`;
  }

  /** The tag of a lock or election, also the channel of its changes. */
  lock(target: Target): string {
    return `{${this.root}:${target.kind === "lock" ? "l" : "e"}:${encode(target.name)}}`;
  }

  /** The tag of a group, also the channel of its changes. */
  group(id: string): string {
    return `{${this.root}:g:${encode(id)}}`;
  }

  /** A pattern of the keys that every group has one of. */
  get allGroups(): string {
    return `{${this.root.replace(/[\\*?[\]]/g, "\\$&")}:g:*}:m`;
  }

  /** The group that has such a key. */
  groupOf(key: string): string {
    return decode(key.slice(`{${this.root}:g:`.length, -"}:m".length));
  }

  /** The set of all groups of the namespace. */
  get groups(): string {
    return `${this.root}:groups`;
  }
}
