import { LockBrokenError, LockLostError, SessionLostError } from "../../core/errors.ts";
import type { Attempt, Grant } from "../../driver.ts";
import { Alarm } from "../../internal/loss.ts";
import { RELEASE } from "./lock_scripts.ts";
import { CHECK, UPDATE } from "./lock_views.ts";
import type { Script } from "./script.ts";
import type { RedisSession } from "./session.ts";
import type { Caller } from "./wire.ts";

/** What tells one attempt from all others on the server. */
export interface Place {
  readonly tag: string;
  /** `x` exclusive, `r` shared. */
  readonly mode: "x" | "r";
  /** The attempt's id as it stands in records. */
  readonly id: string;
}

/** A lock held by this session. */
export class Hold implements Grant, Place {
  readonly tag: string;
  readonly mode: "x" | "r";
  readonly id: string;
  readonly token: bigint;
  readonly lost: Alarm = new Alarm();
  readonly #name: string;
  readonly #session: RedisSession;
  /** While it is given back, nobody is told that it is gone. */
  #releasing: Promise<boolean> | undefined;
  #unclear = false;
  #gone = false;

  constructor(session: RedisSession, attempt: Attempt, place: Place, token: bigint) {
    this.#session = session;
    this.#name = attempt.name;
    this.tag = place.tag;
    this.mode = place.mode;
    this.id = place.id;
    this.token = token;
    session.holds.set(this.id, this);
  }

  /** Whether it is ours as far as we know, and shall stay so. */
  get held(): boolean {
    return !this.#gone && !this.#releasing && !this.#unclear;
  }

  /** Tells that it is gone. */
  lose(broken: boolean): void {
    if (this.#gone) return;
    const told = this.held;
    this.#forget();
    if (told) this.lost.abort(lostError(this.#name, broken));
  }

  check(): Promise<boolean> {
    return this.#ask(CHECK, []);
  }

  update(value: string): Promise<boolean> {
    return this.#ask(UPDATE, [value]);
  }

  release(): Promise<boolean> {
    if (this.#gone || this.#session.over) return Promise.resolve(false);
    return this.#releasing ??= this.#release();
  }

  #forget(): void {
    this.#gone = true;
    this.#session.holds.delete(this.id);
  }

  async #ask(script: Script, more: string[]): Promise<boolean> {
    if (this.#gone || this.#session.over) return false;
    try {
      const answer = await this.#call(script, more);
      if (answer !== 1) this.lose(answer === 2);
      return answer === 1;
    } catch (error) {
      if (error instanceof SessionLostError) return false;
      throw error;
    }
  }

  async #release(): Promise<boolean> {
    try {
      const answer = await this.#call(RELEASE, [], { repeated: () => this.#unclear = true });
      const ours = !this.#gone;
      this.#forget();
      // Gone, though not broken, after a try without an answer: it was that try which gave it back.
      if (answer === 1 || (answer === 0 && this.#unclear && ours)) return true;
      this.lost.abort(lostError(this.#name, answer === 2));
      return false;
    } catch (error) {
      if (error instanceof SessionLostError) return false;
      this.#unclear = true;
      throw error;
    } finally {
      this.#releasing = undefined;
    }
  }

  #call(script: Script, more: string[], caller?: Caller): Promise<unknown> {
    const session = this.#session;
    return session.call(
      script,
      this.tag,
      [this.id, this.mode, ...more],
      caller,
    );
  }
}

function lostError(name: string, broken: boolean): LockLostError {
  const from = { driver: "redis" };
  if (broken) return new LockBrokenError(`Cannot keep lock "${name}": it was broken`, from);
  return new LockLostError(`Cannot keep lock "${name}": the server does not know this hold any longer`, from);
}
