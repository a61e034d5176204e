import { LockBrokenError, SessionLostError } from "../../core/errors.ts";
import type { Grant } from "../../driver.ts";
import { isPassing } from "../passing.ts";
import { encodeEntry } from "./records.ts";
import type { TreeSession } from "./session.ts";
import type { Line, NewEntry, Place } from "./store.ts";

/** An entry of ours in a line. */
export interface OwnEntry {
  /** The lock's name. */
  readonly name: string;
  readonly line: Line;
  readonly entry: NewEntry;
  readonly place: Place;
  /** Its making was asked for more than once, so that there may be two. */
  readonly isDoubtful: boolean;
}

/** A lock held by this session. */
export class TreeHold implements Grant {
  readonly token: bigint;
  readonly path: string;
  readonly #session: TreeSession;
  readonly #own: OwnEntry;
  readonly #lost = new AbortController();
  /** While it is given back, nobody is told that it is gone. */
  #releasing: Promise<boolean> | undefined;
  #unclear = false;

  constructor(session: TreeSession, own: OwnEntry) {
    this.#session = session;
    this.#own = own;
    this.token = own.place.token;
    this.path = own.place.path;
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

  /** Tells that it is gone: the session lives, so somebody has taken it away. */
  lose(): void {
    if (!this.held) return;
    this.#session.holds.delete(this);
    const { line, entry, place } = this.#own;
    void this.#session.owe(() => line.leave(entry, place), Promise.resolve(true));
    this.#tell();
  }

  #tell(): void {
    const message = `Cannot keep lock "${this.#own.name}": it was broken`;
    this.#lost.abort(new LockBrokenError(message, { driver: this.#session.driver }));
  }

  async check(): Promise<boolean> {
    const { line, entry, place } = this.#own;
    return await this.#ask(async () => await line.look(entry, place) !== undefined);
  }

  async update(value: string): Promise<boolean> {
    const { line, entry, place } = this.#own;
    const text = encodeEntry({ memberId: this.#session.memberId, attempt: entry.id, value });
    return await this.#ask(() => line.amend(place, text));
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
    const { line, entry, place, isDoubtful } = this.#own;
    try {
      const removed = await this.#session.calls.run((again) => {
        this.#unclear ||= again;
        return line.leave(entry, place);
      });
      this.#session.holds.delete(this);
      if (isDoubtful) void this.#session.owe(() => line.leave(entry), Promise.resolve(false));
      // Gone after a try without an answer: it was that try which gave it back.
      if (removed || this.#unclear) return true;
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
