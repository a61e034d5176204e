import type { Mode } from "../driver.ts";
import type { Lease } from "./api/lock.ts";
import { type CoordError, LockBrokenError, LockLostError } from "./errors.ts";
import type { Hold, HoldUser } from "./hold.ts";
import type { Host, Owned } from "./host.ts";

/** One caller's share of a hold. */
export class HeldLease implements Lease, HoldUser, Owned {
  readonly name: string;
  readonly mode: Mode;
  readonly token: bigint;
  protected readonly hold: Hold;
  readonly #controller = new AbortController();
  readonly #forget: () => void;
  #released = false;
  #lost: CoordError | undefined;

  constructor(host: Host, name: string, hold: Hold) {
    this.name = name;
    this.mode = hold.mode;
    this.token = hold.grant.token;
    this.hold = hold;
    this.#forget = host.adopt(this);
    hold.add(this);
  }

  get signal(): AbortSignal {
    this.hold.tenure.check();
    return this.#controller.signal;
  }

  /** Why the hold was lost, by the clocks now; undefined while it is held and after a normal release. */
  get lost(): CoordError | undefined {
    this.hold.tenure.check();
    return this.#lost;
  }

  remaining(): number {
    if (this.lost) throw this.lost;
    return this.#released ? 0 : this.hold.tenure.remaining();
  }

  async isHeld(): Promise<boolean> {
    if (this.#released || this.lost) return false;
    return await this.hold.check() && !this.#released;
  }

  async release(): Promise<boolean> {
    if (this.#released || this.lost) return false;
    this.#released = true;
    this.#forget();
    return await this.hold.leave(this);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.release();
    } catch {
      // A failure of the backend must not hide the body's result; the hold follows it up.
    }
  }

  /** The backend or the clocks say that the hold is over. */
  lose(reason: CoordError): void {
    if (this.#released || this.#lost) return;
    this.#lost = reason;
    this.#forget();
    this.#controller.abort(reason);
  }

  /** Fires the signal, while the lock is still to be given back. */
  retire(reason: unknown): void {
    if (!this.#released) this.#controller.abort(reason);
  }
}

/** Runs `fn` under a lease that was just taken, and gives it back. */
export async function runUnder<T>(lease: HeldLease, fn: () => Promise<T> | T): Promise<T> {
  try {
    const result = await fn();
    if (lease.lost) throw lease.lost;
    return result;
  } catch (error) {
    const lost = lease.lost;
    if (!lost || lost === error) throw error;
    const Loss = lost instanceof LockBrokenError ? LockBrokenError : LockLostError;
    throw new Loss(lost.message, {
      ...(lost.driver === undefined ? {} : { driver: lost.driver }),
      cause: error,
    });
  } finally {
    await lease[Symbol.asyncDispose]();
  }
}
