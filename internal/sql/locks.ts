import type { Attempt, Entry, Grant, LockStore, Target } from "../../driver.ts";
import { type Level, levels } from "../tree/levels.ts";
import { Contest } from "./contest.ts";
import type { SqlSession } from "./session.ts";

/** The locks of a session. */
export class SqlLocks implements LockStore {
  readonly #session: SqlSession;

  constructor(session: SqlSession) {
    this.#session = session;
  }

  async acquire(attempt: Attempt): Promise<Grant | undefined> {
    attempt.signal.throwIfAborted();
    if (this.#session.calls.over) throw this.#session.calls.over;
    if (attempt.kind === "election") await this.#session.appear();
    return await new Contest(this.#session, attempt).run();
  }

  entries(target: Target): Promise<Entry[]> {
    return this.#session.calls.run(() => this.#session.store.lock(target).list());
  }

  watch(target: Target, signal: AbortSignal): AsyncIterable<Entry | undefined> {
    const lock = this.#session.store.lock(target);
    const look = async (): Promise<Level<Entry | undefined>> => {
      await this.#session.appear();
      const at = this.#session.bells.count;
      const [first] = await this.#session.calls.run(() => lock.list());
      return {
        value: first?.token !== undefined && first.mode === "exclusive" ? first : undefined,
        changed: (stop) => lock.changed(at, stop),
      };
    };
    return levels(this.#session, signal, look);
  }

  break(target: Target): Promise<boolean> {
    return this.#session.calls.run(() => this.#session.store.lock(target).break());
  }
}
