import type { Link } from "./link.ts";
import { type Awaited, changed, readFolders } from "./kv.ts";
import { step, transact } from "./txn.ts";

/** How many waits have a connection each: a server lets 200 of one address in, by default. */
const ALONE = 64;

/** How many steps a transaction may have. */
const STEPS = 64;

interface Waiter {
  readonly key: string;
  readonly index: number;
  resolve(): void;
  reject(reason: unknown): void;
}

/**
 * The waits of a session. Each has a request of its own, that only a change of its key answers; where there are too many,
 * the others share one that any change in the namespace answers, after which they look together.
 */
export class Waits {
  readonly #link: Link;
  readonly #prefix: string;
  readonly #crowd = new Set<Waiter>();
  #alone = 0;
  #listening: AbortController | undefined;

  /** @param prefix of all keys that can be waited for */
  constructor(link: Link, prefix: string) {
    this.#link = link;
    this.#prefix = prefix;
  }

  /** Resolves when there is a change after an index, or may be. */
  async changed(awaited: Awaited, signal: AbortSignal): Promise<void> {
    // A whole tree cannot be looked at together with others.
    if (this.#alone >= ALONE && !awaited.isPrefix) return await this.#join(awaited, signal);
    this.#alone++;
    try {
      await changed(this.#link, awaited, signal);
    } finally {
      this.#alone--;
    }
  }

  async #join({ key, index }: Awaited, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter = { key, index: Number(index), resolve, reject };
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    this.#crowd.add(waiter);
    if (!this.#listening) void this.#listen(this.#listening = new AbortController());
    // What has changed before the listening began.
    this.#look([waiter]).catch(reject);
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", abort);
      this.#crowd.delete(waiter);
      if (this.#crowd.size === 0) this.#listening?.abort();
    }
  }

  /** Lets all look after each change, as long as there are any; rejects never. */
  async #listen(stop: AbortController): Promise<void> {
    try {
      for (;;) {
        // Before they look, so that no change is missed between the two.
        const { index } = await readFolders(this.#link, this.#prefix);
        await this.#look([...this.#crowd]);
        stop.signal.throwIfAborted();
        await changed(this.#link, { key: this.#prefix, isPrefix: true, index }, stop.signal);
      }
    } catch (error) {
      this.#listening = undefined;
      // Those that came while it was ending have no one else to listen for them.
      if (stop.signal.aborted && this.#crowd.size > 0) {
        void this.#listen(this.#listening = new AbortController());
      } else for (const waiter of this.#crowd) waiter.reject(error);
    }
  }

  async #look(waiters: readonly Waiter[]): Promise<void> {
    const batches: Waiter[][] = [];
    for (let i = 0; i < waiters.length; i += STEPS) batches.push(waiters.slice(i, i + STEPS));
    await Promise.all(batches.map(async (batch) => {
      // As trees, since to get a key that is missing fails the whole transaction.
      const { pairs = [] } = await transact(this.#link, batch.map(({ key }) => step.tree(key)));
      const indexes = new Map(pairs.map(({ key, modified }) => [key, Number(modified)]));
      for (const { key, index, resolve } of batch) if ((indexes.get(key) ?? Infinity) > index) resolve();
    }));
  }
}
