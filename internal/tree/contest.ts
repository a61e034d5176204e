import { bounded, either } from "../../core/abort.ts";
import type { Attempt, Grant } from "../../driver.ts";
import { isPassing } from "../passing.ts";
import { TreeHold } from "./hold.ts";
import { hear, lookOn } from "./levels.ts";
import { encodeEntry } from "./records.ts";
import type { TreeSession } from "./session.ts";
import type { Line, NewEntry, Standing } from "./store.ts";

/** One attempt on its way to a grant: an entry in the line, which waits only for the one before it. */
export class Contest {
  readonly #session: TreeSession;
  readonly #attempt: Attempt;
  readonly #line: Line;
  readonly #entry: NewEntry;
  /** The latest making of the entry. */
  #entering: Promise<unknown> = Promise.resolve();
  #isDoubtful = false;

  constructor(session: TreeSession, attempt: Attempt) {
    this.#session = session;
    this.#attempt = attempt;
    this.#line = session.store.line(attempt);
    this.#entry = {
      id: attempt.id,
      mode: attempt.mode,
      value: encodeEntry({ memberId: session.memberId, attempt: attempt.id, value: attempt.value }),
    };
  }

  /** Tries, and waits if that is wanted. */
  async run(): Promise<Grant | undefined> {
    const { signal, wait } = this.#attempt;
    const { clock, calls } = this.#session;
    const until = clock.now() + calls.timeout;
    try {
      let standing = await either(this.#enter(), signal);
      while (standing.ahead !== undefined) {
        if (!wait) return void await bounded(clock, this.#leave(), until - clock.now());
        standing = await this.#advance(standing);
      }
      return this.#hold(standing);
    } catch (error) {
      if (calls.over) throw error;
      const left = this.#leave();
      // Who gives up is told once nothing is left, if that can be done in good time; else the time is over.
      if (signal.aborted) await bounded(clock, left, calls.timeout / 2);
      throw error;
    }
  }

  async #advance({ ahead, at, place }: Standing): Promise<Standing> {
    const { signal } = this.#attempt;
    const line = this.#line;
    await hear(this.#session, (stop) => line.changed(ahead, at, stop), signal);
    const look = () => this.#session.calls.run(() => line.look(this.#entry, place));
    // Gone: it had the lock, and was broken before we knew.
    return await lookOn(this.#session, look, signal) ??
      await lookOn(this.#session, () => this.#enter(), signal);
  }

  #enter(): Promise<Standing> {
    const { signal } = this.#attempt;
    const entering = this.#session.calls.run((again) => {
      this.#isDoubtful ||= again;
      return signal.aborted ? Promise.reject(signal.reason) : this.#line.enter(this.#entry, again);
    });
    this.#entering = entering.catch((error: unknown) => {
      this.#isDoubtful ||= isPassing(error);
    });
    return entering;
  }

  /** Whether the latest making of the entry is certain, and alone; settles with it. */
  async #isClear(): Promise<boolean> {
    await this.#entering;
    return !this.#isDoubtful;
  }

  #hold({ place }: Standing): TreeHold {
    const own = { name: this.#attempt.name, line: this.#line, entry: this.#entry, place };
    return new TreeHold(this.#session, { ...own, isDoubtful: this.#isDoubtful });
  }

  #leave(): Promise<void> {
    return this.#session.owe(() => this.#line.leave(this.#entry), this.#isClear());
  }
}
