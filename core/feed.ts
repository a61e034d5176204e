import { oneByOne } from "./one_by_one.ts";

/** Tells any number of readers what happens; each keeps at most the latest few that it has not read. */
export class Feed<T> {
  readonly #keep: number;
  readonly #readers = new Set<Reader<T>>();
  #closed = false;

  /** @param keep how many unread items a slow reader keeps; older ones are dropped */
  constructor(keep: number) {
    this.#keep = keep;
  }

  publish(item: T): void {
    for (const reader of this.#readers) {
      reader.items.push(item);
      if (reader.items.length > this.#keep) reader.items.shift();
      reader.wake();
    }
  }

  /** Readers end once they have read what they kept. */
  close(): void {
    this.#closed = true;
    for (const reader of this.#readers) reader.wake();
  }

  /** Each iteration starts to read when it begins, with what is first then. */
  subscribe(first: () => T[] = () => []): AsyncIterable<T> {
    return { [Symbol.asyncIterator]: () => this.#iterate(first()) };
  }

  #iterate(first: T[]): AsyncIterator<T> {
    const reader: Reader<T> = { items: first, wake: () => {} };
    if (!this.#closed) this.#readers.add(reader);
    const end = (): IteratorResult<T> => {
      this.#readers.delete(reader);
      reader.items.length = 0;
      return { done: true, value: undefined };
    };
    const next = oneByOne(async (): Promise<IteratorResult<T>> => {
      while (reader.items.length === 0) {
        if (this.#closed || !this.#readers.has(reader)) return end();
        const woken = Promise.withResolvers<void>();
        reader.wake = woken.resolve;
        await woken.promise;
      }
      // Not empty, as the loop has just seen; undefined may be an item.
      return { done: false, value: reader.items.shift() as T };
    });
    const stop = () => {
      const result = end();
      reader.wake();
      return Promise.resolve(result);
    };
    return { next, return: stop };
  }
}

interface Reader<T> {
  readonly items: T[];
  wake(): void;
}
