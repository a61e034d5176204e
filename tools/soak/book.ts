/** What a judge of locks writes down. Nothing here knows how the locks work: only what their holders say. */

/** What went wrong. */
export interface Violation {
  readonly kind: "two holders" | "token did not grow";
  readonly lock: string;
  readonly text: string;
}

/** What it comes to. */
export interface Tally {
  readonly grants: number;
  /** Grants to another process than the one before. */
  readonly handoffs: number;
  /** Holders that were told that they had lost the lock. */
  readonly lost: number;
  /** Holders that were killed. */
  readonly killed: number;
  readonly violations: readonly Violation[];
}

interface Hold {
  readonly worker: string;
  readonly token: bigint;
}

interface Page {
  greatest: bigint;
  holder: Hold | undefined;
  last: string;
}

/**
 * Follows who holds what by the order in which the book is told: a holder says `enter` once it was granted the lock,
 * and `leave` before it gives it back, so that intervals in the book lie within the true ones, and two that overlap in the book
 * have overlapped. A hold also ends with its `lost` signal, or when its process is killed.
 */
export class Book {
  readonly #pages = new Map<string, Page>();
  readonly #doomed = new Set<string>();
  readonly #violations: Violation[] = [];
  #grants = 0;
  #handoffs = 0;
  #lost = 0;
  #killed = 0;

  enter(worker: string, lock: string, token: bigint): void {
    const page = this.#page(lock);
    if (token <= page.greatest) {
      // The last words of a killed process may arrive after its successor's first.
      if (this.#doomed.has(worker)) return;
      this.#violate("token did not grow", lock, `${worker} has ${token} after ${page.greatest}`);
    }
    const { holder } = page;
    if (holder && this.#doomed.has(holder.worker)) this.#killed++;
    else if (holder) {
      const text = `${worker} has it with ${token} while ${holder.worker} has it with ${holder.token}`;
      this.#violate("two holders", lock, text);
    }
    this.#grants++;
    if (page.last !== worker) this.#handoffs++;
    page.last = worker;
    page.holder = { worker, token };
    if (token > page.greatest) page.greatest = token;
  }

  leave(worker: string, lock: string, token: bigint): void {
    const page = this.#page(lock);
    if (page.holder?.worker === worker && page.holder.token === token) page.holder = undefined;
  }

  /** The holder was told, in time or not: whoever entered before this was written down is a violation. */
  lost(worker: string, lock: string, token: bigint): void {
    this.#lost++;
    this.leave(worker, lock, token);
  }

  /** The worker is about to be killed: what it holds may be granted to others from now on. */
  doom(worker: string): void {
    this.#doomed.add(worker);
  }

  /** Who holds anything, as far as the book knows. */
  get holders(): string[] {
    return [...this.#pages.values()].flatMap(({ holder }) => holder ? [holder.worker] : []);
  }

  get tally(): Tally {
    return {
      grants: this.#grants,
      handoffs: this.#handoffs,
      lost: this.#lost,
      killed: this.#killed,
      violations: [...this.#violations],
    };
  }

  #page(lock: string): Page {
    let page = this.#pages.get(lock);
    if (!page) this.#pages.set(lock, page = { greatest: 0n, holder: undefined, last: "" });
    return page;
  }

  #violate(kind: Violation["kind"], lock: string, text: string): void {
    this.#violations.push({ kind, lock, text });
  }
}
