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
  /** Made when somebody looks: most leases come and go within a moment. */
  #controller: AbortController | undefined;
  readonly #forget: () => void;
  #released = false;
  #lost: CoordError | undefined;
  /** With what the signal fired, or would have. */
  #fired: { readonly reason: unknown } | undefined;

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
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#fired) this.#controller.abort(this.#fired.reason);
    }
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

  /** Replaces the value of what is held; false: it is held no longer. */
  protected async update(value: string): Promise<boolean> {
    if (this.#released || this.lost) return false;
    return await this.hold.update(value) && !this.#released;
  }

  async release(): Promise<boolean> {
    if (this.#released || this.lost) return false;
    this.#released = true;
    try {
      return await this.hold.leave(this);
    } finally {
      this.#forget(); // Only now: who closes the coordinator waits for an answer that is on its way.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.release();
    } catch {
      // A failure of the backend must not hide the body's result; the hold follows it up.
    }
  }

  /** The backend or the clocks say that the hold is over, or was already when it was to be given back. */
  lose(reason: CoordError): void {
    if (this.#lost) return;
    this.#lost = reason;
    this.#forget();
    this.#fire(reason);
  }

  /** Fires the signal, while the lock is still to be given back. */
  retire(reason: unknown): void {
    if (!this.#released) this.#fire(reason);
  }

  #fire(reason: unknown): void {
    this.#fired ??= { reason };
    this.#controller?.abort(this.#fired.reason);
  }
}

/** Runs `fn` under a lease that was just taken, and gives it back. */
export async function runUnder<T>(lease: HeldLease, fn: () => Promise<T> | T): Promise<T> {
  let result: T;
  try {
    result = await fn();
  } catch (error) {
    await lease[Symbol.asyncDispose]();
    throw lossOf(lease, error) ?? error;
  }
  // The lock may have been broken without a word: the one that says so is then the release.
  await lease[Symbol.asyncDispose]();
  if (lease.lost) throw lease.lost;
  return result;
}

/** The loss of a lease, caused by what `fn` failed with. */
function lossOf({ lost }: HeldLease, cause: unknown): CoordError | undefined {
  if (!lost || lost === cause) return undefined;
  const Loss = lost instanceof LockBrokenError ? LockBrokenError : LockLostError;
  return new Loss(lost.message, { ...(lost.driver === undefined ? {} : { driver: lost.driver }), cause });
}
