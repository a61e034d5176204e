import type { Mode } from "../../driver.ts";

/** How to take a lock. */
export interface AcquireOptions {
  /** `"exclusive"` (the default) or `"shared"`. */
  mode?: Mode;
  /** Ends the wait: the call rejects with the signal's reason, and leaves no trace. */
  signal?: AbortSignal;
  /** The longest wait in ms, finite and from 0; 0 is one attempt. Without it the wait has no end of its own. */
  timeout?: number;
}

/** How to try to take a lock without waiting. */
export interface TryOptions {
  /** `"exclusive"` (the default) or `"shared"`. */
  mode?: Mode;
  /** Ends the attempt: the call rejects with the signal's reason, and leaves no trace. */
  signal?: AbortSignal;
}

/** Somebody who holds a lock now. */
export interface Holder {
  /** Who holds it. */
  readonly memberId: string;
  /** How. */
  readonly mode: Mode;
  /** The fencing token of the hold. */
  readonly token: bigint;
  /** Since when, where the backend knows. */
  readonly since?: Date;
}

/**
 * A lock of one name. It is not re-entrant: a second acquire waits like anyone, in the same process too.
 *
 * @example
 * ```ts
 * import { getCoordinator } from "@tooz/coord";
 * import { zake } from "@tooz/coord/zake";
 *
 * await using coord = await getCoordinator(zake());
 * await using lease = await coord.lock("report").acquire({ timeout: 5_000 });
 * console.assert(lease.token > 0n && !lease.signal.aborted);
 * ```
 */
export interface Lock {
  /** As given to `coord.lock()`. */
  readonly name: string;
  /**
   * Takes the lock, waiting in line for it.
   * @returns a lease, to be released or disposed of
   * @throws {AcquireTimeoutError} when `timeout` runs out; it says who holds the lock
   * @throws {ConnectionError} when the backend cannot be reached
   * @throws {CapacityError} when the backend has no room for one more who waits or holds
   * @throws {SessionLostError} when the session ends during the wait
   * @throws {ClosedError} when the coordinator is closed
   */
  acquire(options?: AcquireOptions): Promise<Lease>;
  /**
   * Takes the lock if that is possible now; never waits, never overtakes a waiter.
   * @returns undefined if the lock is busy
   * @throws {ConnectionError} when the backend cannot be reached: busy and unreachable are never the same
   * @throws {CapacityError} when the backend has no room for one more who holds
   */
  tryAcquire(options?: TryOptions): Promise<Lease | undefined>;
  /**
   * Runs `fn` under the lock and gives it back when `fn` has settled.
   * @returns what `fn` returned
   * @throws {LockLostError} if the hold was lost before `fn` settled; an error of `fn` is then its cause
   */
  use<T>(fn: (lease: Lease) => Promise<T> | T, options?: AcquireOptions): Promise<T>;
  /** Who holds the lock now: one exclusive holder, or any number of shared ones. */
  holders(): Promise<Holder[]>;
  /**
   * For operators: takes the lock away from its holders. It overrides mutual exclusion: a former holder learns of it
   * at its next contact, at once where the backend can push. New tokens are higher.
   * @returns whether there was a holder
   */
  break(): Promise<boolean>;
}

/** A lock held. Disposing of it gives it back, and never throws for a failure of the backend. */
export interface Lease extends AsyncDisposable {
  /** The lock's name. */
  readonly name: string;
  /** How it is held. */
  readonly mode: Mode;
  /** The fencing token: each exclusive grant of a name has a greater one. 1 to 2^63 - 1; `String(token)` for JSON. */
  readonly token: bigint;
  /** Fires when the hold is lost, with the reason; never on a normal release. Reading it reads the clocks. */
  readonly signal: AbortSignal;
  /**
   * How long the hold is certain without another contact with the backend.
   * @returns ms; `Infinity` where only a connection or the kernel ends a hold
   * @throws {LockLostError} once the hold is lost
   */
  remaining(): number;
  /** Asks the backend whether the lock is still held. */
  isHeld(): Promise<boolean>;
  /**
   * Gives the lock back, if it is still ours.
   * @returns false: it was already released, lost or broken
   * @throws {ConnectionError} only when the outcome is unknown; it is then retried until confirmed, or the session ends
   * @throws {CapacityError} likewise, where the backend has no room to note it
   */
  release(): Promise<boolean>;
}
