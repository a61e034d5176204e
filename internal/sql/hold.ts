import { LockBrokenError, SessionLostError } from "../../core/errors.ts";
import type { Grant } from "../../driver.ts";
import { isPassing } from "../passing.ts";
import type { SqlSession } from "./session.ts";
import type { Place } from "./store.ts";

/** A lock held by this session, on S. */
export class SqlHold implements Grant {
  readonly token: bigint;
  readonly place: Place;
  readonly #session: SqlSession;
  readonly #settled: Promise<void> | undefined;
  readonly #lost = new AbortController();
  #releasing: Promise<boolean> | undefined;
  #unclear = false;

  /** @param settled resolves once nothing of the attempt is left but the hold */
  constructor(session: SqlSession, place: Place, settled: Promise<void> | undefined) {
    this.#session = session;
    this.#settled = settled;
    this.place = place;
    this.token = place.token;
    session.holds.add(this);
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Whether it is ours as far as we know, and shall stay so. */
  get held(): boolean {
    return this.#isOpen && !this.#releasing && !this.#unclear;
  }

  get #isOpen(): boolean {
    return !this.#session.calls.over && this.#session.holds.has(this);
  }

  /** Tells that it is gone: the session lives, so somebody has broken it. */
  lose(): void {
    if (!this.held) return;
    this.#session.holds.delete(this);
    void this.#session.owe(() => this.place.lock.give(this.place));
    this.#tell();
  }

  #tell(): void {
    const { kind, name } = this.place.lock.target;
    const message = `Cannot keep ${kind} "${name}": it was broken`;
    this.#lost.abort(new LockBrokenError(message, { driver: this.#session.driver }));
  }

  check(): Promise<boolean> {
    return this.#ask(async () => (await this.#session.store.standing([this.place])).has(this.place));
  }

  update(value: string): Promise<boolean> {
    return this.#ask(() => this.place.lock.amend(this.place, value));
  }

  async #ask(is: () => Promise<boolean>): Promise<boolean> {
    if (!this.#isOpen) return false;
    try {
      const there = await this.#session.calls.run(is);
      if (!there) this.lose();
      return there;
    } catch (error) {
      if (error instanceof SessionLostError) return false;
      throw error;
    }
  }

  release(): Promise<boolean> {
    if (!this.#isOpen) return Promise.resolve(false);
    return this.#releasing ??= this.#release();
  }

  async #release(): Promise<boolean> {
    try {
      const given = await this.#session.calls.run(() => this.place.lock.give(this.place));
      // Both are under way; nobody can try before both are done.
      await this.#settled;
      this.#session.holds.delete(this);
      // Gone after a try without an answer: it was that try which gave it back.
      if (given || this.#unclear) return true;
      this.#tell();
      return false;
    } catch (error) {
      if (error instanceof SessionLostError) return false;
      this.#unclear ||= isPassing(error);
      throw error;
    } finally {
      this.#releasing = undefined;
    }
  }
}
