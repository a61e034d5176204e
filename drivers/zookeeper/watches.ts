import type { Position } from "../../internal/tree/store.ts";
import type { Link } from "./link.ts";
import { orAbsent } from "./requests.ts";

/** When something was changed last, as a transaction number; "absent": it is not there. */
type Stamp = bigint | "absent";

/** Asks for a watch, and answers with when the last change was. */
type Arm = (fire: () => void) => Promise<Stamp>;

/** What a look saw, as a position: `-7` when there was no such directory at 7. */
export function toPosition(at: bigint, isThere = true): Position {
  return String(isThere ? at : -at);
}

/** A watch that the server keeps until it fires: it cannot be taken back, so all that wait for the same share it. */
export class Watch {
  readonly #waiting = new Set<PromiseWithResolvers<void>>();
  #stamp: Stamp = "absent";
  #fired = false;
  #broken: Error | undefined;

  async arm(arm: Arm): Promise<this> {
    this.#stamp = await arm(() => this.fire());
    return this;
  }

  /** Tells all that wait that there was a change. */
  fire(): void {
    this.#fired = true;
    for (const { resolve } of this.#waiting) resolve();
    this.#waiting.clear();
  }

  /** Tells all that wait that there is nothing more to hear. */
  break(cause: Error): void {
    this.#broken = cause;
    for (const { reject } of this.#waiting) reject(cause);
    this.#waiting.clear();
  }

  /** Whether it has nothing more to tell. */
  get isOver(): boolean {
    return this.#fired || this.#broken !== undefined;
  }

  /** Waits until there was a change after a position. */
  async wait(at: Position, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#fired || this.#isNewer(BigInt(at))) return;
    if (this.#broken) throw this.#broken;
    const waiter = Promise.withResolvers<void>();
    const abort = () => waiter.reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    this.#waiting.add(waiter);
    try {
      await waiter.promise;
    } finally {
      this.#waiting.delete(waiter);
      signal.removeEventListener("abort", abort);
    }
  }

  #isNewer(at: bigint): boolean {
    const wasThere = at >= 0n;
    if (this.#stamp === "absent") return wasThere;
    return this.#stamp > (wasThere ? at : -at);
  }
}

/** The watches of one connection. */
export class Watches {
  readonly #link: Link;
  readonly #shared = new Map<string, { readonly watch: Watch; readonly armed: Promise<Watch> }>();

  constructor(link: Link) {
    this.#link = link;
  }

  /** Begins to watch a node, unless that is done already. */
  node(path: string): Promise<Watch> {
    return this.#share(`node ${path}`, async (fire) => {
      const node = await orAbsent(this.#link.read(path, fire));
      // The server keeps no watch then.
      if (!node) fire();
      return node?.stat.mzxid.readBigInt64BE() ?? "absent";
    });
  }

  /** Begins to watch what is in a directory, also in one that is still to come. */
  directory(path: string): Promise<Watch> {
    return this.#share(`directory ${path}`, async (fire) => {
      for (;;) {
        const directory = await orAbsent(this.#link.children(path, fire));
        if (directory) return directory.changed;
        if (!await this.#link.exists(path, fire)) return "absent";
      }
    });
  }

  /** Ends all of them: the connection broke. */
  end(cause: Error): void {
    for (const { watch } of this.#shared.values()) watch.break(cause);
    this.#shared.clear();
  }

  #share(key: string, arm: Arm): Promise<Watch> {
    const shared = this.#shared.get(key);
    if (shared && !shared.watch.isOver) return shared.armed;
    const watch = new Watch();
    const forget = () => {
      if (this.#shared.get(key)?.watch === watch) this.#shared.delete(key);
    };
    const armed = watch.arm((fire) =>
      arm(() => {
        forget();
        fire();
      })
    );
    armed.catch(forget);
    this.#shared.set(key, { watch, armed });
    return armed;
  }
}
