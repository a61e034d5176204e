import type { Grant, Mode } from "../driver.ts";
import { CoordError, LockLostError } from "./errors.ts";
import { untilConfirmed } from "./retry.ts";
import type { Tenure } from "./tenure.ts";

/** Somebody who uses a hold: a lease. */
export interface HoldUser {
  lose(reason: CoordError): void;
}

/** One grant of the backend and the leases that share it. */
export class Hold {
  readonly grant: Grant;
  readonly mode: Mode;
  readonly tenure: Tenure;
  readonly #users = new Set<HoldUser>();
  readonly #gone: () => void;
  #claims: number;
  #disown: () => void = () => {};
  #over = false;
  #lost: CoordError | undefined;

  /**
   * @param claims how many will use the hold, or leave it
   * @param gone called once when the lock is given back or lost
   */
  constructor(tenure: Tenure, grant: Grant, mode: Mode, claims: number, gone: (hold: Hold) => void) {
    this.tenure = tenure;
    this.grant = grant;
    this.mode = mode;
    this.#claims = claims;
    this.#gone = () => gone(this);
    const lost = () => this.#lose(toLockLost(grant.lost.reason, tenure.driver));
    grant.lost.addEventListener("abort", lost, { once: true });
    if (grant.lost.aborted) lost();
    else this.#disown = tenure.own((reason) => this.#lose(toLockLost(reason, tenure.driver)));
  }

  /** Whether the lock is, as far as we know, held. */
  get live(): boolean {
    return !this.#over && this.tenure.check();
  }

  /** Tells a user, now or later, when the lock is lost. */
  add(user: HoldUser): void {
    if (this.#lost) user.lose(this.#lost);
    else this.#users.add(user);
  }

  /** One of those who claimed the hold ends; the last one gives the lock back. */
  leave(user?: HoldUser): Promise<boolean> {
    if (user) this.#users.delete(user);
    this.#claims--;
    return this.#claims > 0 ? Promise.resolve(this.live) : this.#giveBack(user);
  }

  /** Gives the lock back; goes on in the background when the outcome is unknown. */
  async #giveBack(last: HoldUser | undefined): Promise<boolean> {
    if (!this.live) return false;
    this.#over = true;
    const releasing = this.grant.release();
    try {
      const released = await this.tenure.inTime(releasing);
      this.#end();
      // It had been taken away, and nobody had told.
      if (!released && this.tenure.check()) {
        last?.lose(toLockLost(this.grant.lost.reason, this.tenure.driver));
      }
      return released;
    } catch (error) {
      // The deadline of the session bounds this: where it ends, the backend has given the lock back.
      void releasing
        .catch(() => untilConfirmed(this.tenure, () => this.grant.release()))
        .then(() => this.#end());
      throw error;
    }
  }

  /** Asks the backend; tells the users when it says no. */
  async check(until?: number): Promise<boolean> {
    if (!this.live) return false;
    const held = await this.tenure.inTime(this.grant.check(), until);
    if (!held) this.#lose(toLockLost(this.grant.lost.reason, this.tenure.driver));
    return held && this.live;
  }

  /** Replaces the value that others read, while the lock is held: both within the deadline of one operation. */
  async update(value: string): Promise<boolean> {
    const until = this.tenure.clock.now() + this.tenure.timeout;
    return await this.check(until) && await this.tenure.inTime(this.grant.update(value), until);
  }

  #lose(reason: CoordError): void {
    if (this.#over) return;
    this.#over = true;
    this.#lost = reason;
    this.#end();
    for (const user of this.#users) user.lose(reason);
    this.#users.clear();
  }

  #end(): void {
    this.#disown();
    this.#gone();
  }
}

function toLockLost(reason: unknown, driver: string): CoordError {
  if (reason instanceof LockLostError) return reason;
  const why = reason instanceof Error ? reason.message : "the backend holds it no longer for us";
  return new LockLostError(`Cannot keep the lock: ${why}`, { driver, cause: reason });
}
