import { Cancelled, type Lock, type Side, type Taking } from "../../internal/sql/store.ts";
import type { Connection } from "./connection.ts";
import type { MysqlLock } from "./lock.ts";
import { hold } from "./names.ts";
import { type Raw, sql } from "./sql.ts";
import type { MysqlStore } from "./store.ts";

/** As long as a wait can be, in s: servers take no "for ever" that both understand. */
const FOR_EVER = 31_536_000;

/** Who waits first asks again after so many s, at most: as long as its wait lasts, the server keeps old row versions. */
const SLICE = 20;

/** A word that was to end a wait may come late, so often. */
const TRIES = 10;

/**
 * A connection that waits in the server. Its waits are ended by KILL QUERY, so each of its requests is one statement:
 * between two of one request, that would end the request and leave the client without an answer.
 */
export class MysqlSide implements Side {
  readonly #store: MysqlStore;
  readonly #connection: Connection;
  /** The attempt that stands in the table of those who wait. */
  #attempt: string | undefined;
  #entering: Promise<void> | undefined;
  #hasTurn = false;

  constructor(store: MysqlStore, connection: Connection) {
    this.#store = store;
    this.#connection = connection;
  }

  get isOpen(): boolean {
    return this.#connection.isOpen;
  }

  async wait(lock: Lock, taking: Taking): Promise<void> {
    const own = lock as MysqlLock; // Of this store, as all of the session are.
    if (!this.#hasTurn && await this.#waitForTurn(own, taking)) return;
    if (!await this.#waitUntilFree(own, hold(own.base, own.generation))) return;
    // Nobody comes to read while this has the turn.
    for (const one of own.readers.splice(0)) if (!await this.#waitUntilFree(own, one)) return;
  }

  /**
   * Waits until a hold has gone; false: until the lock was broken. It looks for that in the statement that waits: the
   * word to end a wait is lost on who has not begun to.
   */
  async #waitUntilFree({ base, generation }: MysqlLock, held: string): Promise<boolean> {
    const seconds = Math.min(SLICE, Math.ceil(this.#store.ttl / 3000));
    const breaks = sql`select 1 from tooz_hold where base = ${base} and mode = 'g' and gen > ${generation}`;
    for (;;) {
      const ended = await this.#wait(sql`case when exists (${breaks}) then 'broken' else
        case get_lock(${held}, ${seconds}) when 1 then release_lock(${held}) when 0 then 'slice' end end`);
      if (ended !== "slice") return ended !== "broken";
    }
  }

  /** Waits for the turn; says whether the lock was free then. */
  async #waitForTurn(lock: MysqlLock, taking: Taking): Promise<boolean> {
    const [q, h] = [lock.turnstile, hold(lock.base, lock.generation)];
    let isOver = false;
    const turn = this.#wait(
      sql`case when get_lock(${q}, ${FOR_EVER}) = 1 then if(get_lock(${h}, 0) = 1, release_lock(${h}), 0) end`,
    ).finally(() => isOver = true);
    if (this.#attempt !== taking.attempt) this.#entering = this.#store.enter(lock, taking, () => isOver);
    this.#attempt = taking.attempt;
    const isFree = await turn === "1";
    this.#hasTurn = true;
    return isFree;
  }

  /** Waits in the server. */
  async #wait(what: Raw): Promise<string> {
    const [answer] = await this.#connection.ask(sql`select ${what} as result`);
    const result = answer?.rows[0]?.[0] ?? null;
    if (result === null) throw new Cancelled("the wait was ended");
    return result;
  }

  /** What the store's own watchman does. */
  guard(): Promise<void> {
    return this.#store.guarding;
  }

  async cancel(): Promise<void> {
    await this.#store.main.ask(sql`kill query ${this.#connection.id}`);
  }

  async free(): Promise<void> {
    const left = this.#leave();
    for (let tries = 1;; tries++) {
      try {
        await this.#connection.askSoon(sql`select release_all_locks()`);
        break;
      } catch (error) {
        if (!(error instanceof Cancelled) || tries === TRIES) throw error;
      }
    }
    await left;
  }

  async #leave(): Promise<void> {
    const attempt = this.#attempt;
    this.#attempt = undefined;
    this.#hasTurn = false;
    await this.#entering;
    if (attempt !== undefined) await this.#store.leave(attempt);
  }

  destroy(): void {
    this.#connection.destroy();
    void this.#leave();
  }
}
