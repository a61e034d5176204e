import { Cancelled, type Lock, type Side, type Taking } from "../../internal/sql/store.ts";
import { type Connection, prepared, SliceOver } from "./connection.ts";
import type { PostgresqlLock } from "./lock.ts";
import type { PostgresqlStore } from "./store.ts";

/**
 * The first in line asks again after so many ms, and so does a guard: as long as a statement waits, the server cleans
 * up no row that was deleted since it began.
 */
const SLICE = 20_000;

const WAIT = prepared("wait", "select tooz.wait($1, $2, $3, $4, $5, $6)");
const FREE = prepared("free", "select pg_advisory_unlock_all()");
const STAND_GUARD = "select tooz.stand_guard()";
const GUARD = prepared("guard", "select tooz.guard($1, $2, $3)");
const CANCEL = prepared("cancel", "select pg_cancel_backend($1)");

/** A connection that waits. */
export class PostgresqlSide implements Side {
  readonly #store: PostgresqlStore;
  readonly #connection: Connection;
  #isGuard = false;
  /** The last wait was ended in the middle. */
  #isTorn = false;

  constructor(store: PostgresqlStore, connection: Connection) {
    this.#store = store;
    this.#connection = connection;
  }

  get isOpen(): boolean {
    return this.#connection.isOpen;
  }

  async wait(lock: Lock, { mode }: Taking): Promise<void> {
    const { lock: key, gate, tag } = (lock as PostgresqlLock).keys; // The store makes all locks.
    await this.#inSlices(async () => {
      const again = this.#isTorn;
      this.#isTorn = true;
      await this.#connection.ask(WAIT, [key, gate, tag, mode === "shared", SLICE, again]);
      this.#isTorn = false;
    });
  }

  async guard(): Promise<void> {
    if (!this.#isGuard) await this.#connection.askSoon(STAND_GUARD);
    this.#isGuard = true;
    await this.#inSlices(() => this.#connection.ask(GUARD, [this.#store.session, this.#store.space, SLICE]));
  }

  async #inSlices(wait: () => Promise<unknown>): Promise<void> {
    for (;;) {
      try {
        return void await wait();
      } catch (error) {
        if (!(error instanceof SliceOver)) throw error;
      }
    }
  }

  async cancel(): Promise<void> {
    if (this.isOpen) await this.#store.ask(CANCEL, [this.#connection.pid]);
  }

  async free(): Promise<void> {
    try {
      await this.#connection.askSoon(FREE);
    } catch (error) {
      // A word to end the wait has come after it.
      if (!(error instanceof Cancelled)) throw error;
      await this.#connection.askSoon(FREE);
    }
    this.#isTorn = false;
  }

  destroy(): void {
    this.#connection.destroy();
  }
}
