import type { Keys } from "./keys.ts";

/** Where a session is registered: under one key on a single server, on a cluster under one key for each tag. */
export class Footing {
  /** Whether keys of different tags may be on different servers. */
  readonly spread: boolean;
  readonly #keys: Keys;
  readonly #sid: string;
  /** The tags that know the session, and by which key. */
  readonly #entered = new Map<string, string>();
  #losses = 0;

  constructor(keys: Keys, sid: string, spread: boolean) {
    this.#keys = keys;
    this.#sid = sid;
    this.spread = spread;
  }

  /** The tag of the key that all else depends on. */
  get home(): string {
    return this.spread ? this.#keys.home(this.#sid) : this.#keys.root;
  }

  /** The session's key beside a tag. */
  key(tag: string): string {
    if (!this.spread) return `${this.#keys.root}:s:${this.#sid}`;
    // What was lost is never used again.
    return this.#entered.get(tag) ?? `${tag}:s:${this.#sid}.${this.#losses}`;
  }

  isNew(tag: string): boolean {
    return this.spread && !this.#entered.has(tag);
  }

  enter(tag: string, key: string): void {
    if (this.spread) this.#entered.set(tag, key);
  }

  /** The tag knows the session no longer by this key; false: it has not for a while. */
  lose(tag: string, key: string): boolean {
    if (!this.spread || this.key(tag) !== key) return false;
    this.#losses++;
    return this.#entered.delete(tag);
  }

  /** The tags that know the session. */
  get tags(): string[] {
    return [...this.#entered.keys()];
  }

  /** Forgets tags at which nothing of the session is. */
  keep(used: ReadonlySet<string>): void {
    for (const tag of this.#entered.keys()) if (!used.has(tag)) this.#entered.delete(tag);
  }
}
