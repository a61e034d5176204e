import { sleep } from "../clock.ts";
import type { SqlSession } from "./session.ts";
import { Cancelled, type Side } from "./store.ts";

/** A new connection is tried after so many ms, twice that, and so on up to the longest. */
const PAUSE = 100;
const LONGEST_PAUSE = 5_000;

/**
 * Who notices that a session has ended without a word: each session waits in the server for the presence of the one
 * that comes after it, in a ring, and tells all when it gets it. It starts when the session first has, or looks at,
 * something that others may miss; until then it costs no connection.
 */
export class Ring {
  readonly #session: SqlSession;
  #starting: Promise<void> | undefined;
  #side: Pick<Side, "guard" | "destroy"> | undefined;

  constructor(session: SqlSession) {
    this.#session = session;
  }

  /** Resolves once this session is in the ring. */
  async start(): Promise<void> {
    try {
      await (this.#starting ??= this.#start());
    } catch (error) {
      this.#starting = undefined;
      throw error;
    }
  }

  /** Leaves the watch to others. */
  destroy(): void {
    this.#side?.destroy();
  }

  async #start(): Promise<void> {
    await this.#session.calls.run(() => this.#session.store.appear());
    // It ends with the session and never rejects. Until it watches, and whenever it cannot, the beats look.
    void this.#watch();
  }

  async #watch(): Promise<void> {
    const { clock, store, calls } = this.#session;
    for (let pause = PAUSE; !calls.over;) {
      try {
        this.#side ??= await store.watchman();
        if (calls.over) break;
        await this.#side.guard();
        pause = PAUSE;
      } catch (error) {
        if (error instanceof Cancelled) continue;
        this.destroy();
        this.#side = undefined;
        await sleep(clock, pause * (1 + Math.random()) / 2, calls.ending).catch(() => {}); // The session is over.
        pause = Math.min(pause * 2, LONGEST_PAUSE);
      }
    }
    this.destroy();
  }
}
