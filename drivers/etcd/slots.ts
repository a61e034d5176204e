/**
 * The keys of a session's entries. They are used again and again: etcd remembers every key that there ever was until
 * it is compacted, and goes through all of them when it looks who is in a line.
 */
export class Slots {
  readonly #keys = new Map<string, string>();
  readonly #taken = new Set<string>();
  readonly #doubtful = new Set<string>();

  /** The key of an entry, which is the first free one of its line if it has none yet. */
  take(id: string, first: string): string {
    let key = this.#keys.get(id) ?? first;
    for (let n = 1; !this.#keys.has(id) && this.#taken.has(key); n++) key = `${first}/${n}`;
    this.#keys.set(id, key);
    this.#taken.add(key);
    return key;
  }

  /** The key of an entry that may be there. */
  find(id: string): string | undefined {
    return this.#keys.get(id);
  }

  /** A request for the entry has no answer: it may be carried out at any time, so the key is nobody else's any more. */
  doubt(id: string): void {
    this.#doubtful.add(id);
  }

  /** The entry is gone: the next one can have its key. */
  free(id: string): void {
    const key = this.#keys.get(id);
    if (key === undefined || this.#doubtful.has(id)) return;
    this.#keys.delete(id);
    this.#taken.delete(key);
  }
}
