import type { Entry, Mode, Target } from "../../driver.ts";
import { Interrupted, type Lock, type Place, type Taking } from "../../internal/sql/store.ts";
import type { Generation } from "./breaks.ts";
import { type Prepared, prepared } from "./connection.ts";
import { text } from "./groups.ts";
import { bytes, keysOf, type LockKeys } from "./keys.ts";
import type { PostgresqlStore } from "./store.ts";

/** The lower half of a token, which fits beside a tag. */
const half = (token: string) => `(${token} & 4294967295)::bit(32)::integer`;

/** How many breaks there were in the database. It is no part of what a statement sees as of its beginning. */
const COUNT = "coalesce(pg_sequence_last_value('tooz.breaks'), 0)";

const TAKES = {
  exclusive: take("", "pg_try_advisory_lock"),
  shared: take("_shared", "pg_try_advisory_lock_shared"),
};
const GIVES = {
  exclusive: give("", "pg_advisory_unlock"),
  shared: give("_shared", "pg_advisory_unlock_shared"),
};
const LEAD = prepared("lead", "select tooz.lead($1, $2, $3, $4, $5, $6)");
const RESIGN = prepared("resign", "select tooz.resign($1, $2, $3)");
const PROCLAIM = prepared("proclaim", "select tooz.proclaim($1, $2, $3, $4, $5)");
const ENTRIES = prepared(
  "entries",
  "select pid, member, shared, token::text, since, value from tooz.entries($1, $2, $3, $4)",
);
const BREAK = prepared("break", "call tooz.break($1, $2, null)");
const END_BREAK = "select pg_advisory_unlock(8390330741283745283)";
const CHANGED = prepared("changed", "select pg_notify($1, $2)");

/**
 * Tries the hold, past the turnstile if it is not ours, and draws a token; -1: somebody waits, 0: it is held. The
 * token's lower half is then shown beside the lock's tag. Breaks are counted after that: one that comes later has
 * greater tokens after it, and one that was before has changed the count. It is all in one column, since a plain
 * statement with little to describe costs half of what a function in PL/pgSQL does.
 */
function take(name: string, tryLock: string): { turnstile: Prepared; head: Prepared } {
  const hold = `case when ${tryLock}($1) then nextval('tooz.fence') else 0 end`;
  const show = `case when t > 0 then pg_try_advisory_lock_shared($2, ${half("t")}) end`;
  return {
    turnstile: prepared(
      `take${name}`,
      `select concat_ws(' ', t, ${COUNT}, ${show}, case when t >= 0 then pg_advisory_unlock_shared($3) end)
      from (select case when pg_try_advisory_lock_shared($3) then ${hold} else -1 end as t offset 0) taken`,
    ),
    head: prepared(
      `take_head${name}`,
      `select concat_ws(' ', t, ${COUNT}, ${show}) from (select ${hold} as t offset 0) taken`,
    ),
  };
}

/** Who gives back what is not there does not unlock a later hold of this session. */
function give(name: string, unlock: string): Prepared {
  const given = `case when pg_advisory_unlock_shared($2, ${
    half("$3::bigint")
  }) then ${unlock}($1) else false end`;
  return prepared(`give${name}`, `select concat_ws(' ', ${given}, ${COUNT})`);
}

const UNDO = prepared(
  "undo",
  `select case when $3 then pg_advisory_unlock_shared($1) else pg_advisory_unlock($1) end,
    case when $4 then pg_advisory_unlock_shared($2) end`,
);

/** A hold of the session's connection. */
export interface PostgresqlPlace extends Place {
  readonly lock: PostgresqlLock;
  /** What the lock was when it was taken. */
  readonly generation: Generation;
}

/** A lock or an election: advisory locks of which the keys are hashes of its name. */
export class PostgresqlLock implements Lock {
  readonly target: Target;
  readonly keys: LockKeys;
  readonly #store: PostgresqlStore;

  constructor(store: PostgresqlStore, target: Target) {
    this.#store = store;
    this.target = target;
    this.keys = keysOf(store.namespace, target);
  }

  get #isElection(): boolean {
    return this.target.kind === "election";
  }

  get #topic(): string {
    return `e${this.keys.lock}`;
  }

  async take({ mode, value, isHead }: Taking): Promise<PostgresqlPlace | undefined> {
    const place = await this.#take(mode, isHead);
    if (!place || this.target.kind !== "election") return place;
    const { session, space, channel } = this.#store;
    try {
      await this.#store.ask(LEAD, [
        this.keys.lock,
        String(place.token),
        session,
        space,
        bytes(value),
        channel,
      ]);
      return place;
    } catch (error) {
      if (!(error instanceof Interrupted)) await this.#give(place);
      throw error;
    }
  }

  async #take(mode: Mode, isHead: boolean): Promise<PostgresqlPlace | undefined> {
    const { breaks } = this.#store;
    for (;;) {
      const generation = breaks.of(this.keys);
      const [token = "", count = ""] = await this.#try(mode, generation, isHead);
      const place = { lock: this, mode, token: BigInt(token), generation };
      if (place.token > 0n) this.#store.keep(generation.hold, 1);
      await this.#catchUp(count, place);
      if (breaks.of(this.keys).number === generation.number) return place.token > 0n ? place : undefined;
      // It was broken since we last knew, so that this was another lock.
      if (place.token > 0n) await this.#give(place);
    }
  }

  /** Asks; where the server has no room for one lock more, it may have given us some of those that belong together. */
  async #try(mode: Mode, { hold }: Generation, isHead: boolean): Promise<string[]> {
    const { gate, tag } = this.keys;
    try {
      const [[answer] = []] = isHead
        ? await this.#store.ask(TAKES[mode].head, [hold, tag])
        : await this.#store.ask(TAKES[mode].turnstile, [hold, tag, gate]);
      return String(answer).split(" ");
    } catch (error) {
      if (error instanceof Interrupted) throw error;
      await this.#store.ask(UNDO, [hold, gate, mode === "shared", !isHead]);
      // Of several holds of the session, one may have been given back now that is not ours to give.
      if (this.#store.keeps(hold)) this.#store.giveUp(error);
      throw error;
    }
  }

  async give(place: Place): Promise<boolean> {
    const ours = place as PostgresqlPlace; // Only take() makes places.
    if (this.target.kind === "election") {
      await this.#store.ask(RESIGN, [this.keys.lock, String(place.token), this.#store.channel]);
    }
    return await this.#give(ours);
  }

  /** Reads what was broken meanwhile; without that nobody can know whether the hold is worth anything. */
  async #catchUp(count: string, place: PostgresqlPlace): Promise<void> {
    const { breaks } = this.#store;
    try {
      if (count !== breaks.count) await breaks.read();
    } catch (error) {
      if (place.token > 0n && !(error instanceof Interrupted)) await this.#unlock(place);
      throw error;
    }
  }

  async #give(place: PostgresqlPlace): Promise<boolean> {
    const { breaks } = this.#store;
    const count = await this.#unlock(place);
    if (count === undefined) return false;
    if (count !== breaks.count) await breaks.read();
    return breaks.of(this.keys).number === place.generation.number;
  }

  /** Answers with how many breaks there were; undefined: it was not held. */
  async #unlock({ mode, generation, token }: PostgresqlPlace): Promise<string | undefined> {
    const [[answer] = []] = await this.#store.ask(GIVES[mode], [
      generation.hold,
      this.keys.tag,
      String(token),
    ]);
    const [given, count] = String(answer).split(" ");
    if (given !== "t") return undefined;
    this.#store.keep(generation.hold, -1);
    return count;
  }

  async amend(place: Place, value: string): Promise<boolean> {
    const { token, generation } = place as PostgresqlPlace; // As above.
    const what = [this.keys.lock, generation.number, String(token), bytes(value), this.#store.channel];
    const [[amended] = []] = await this.#store.ask(PROCLAIM, what);
    return amended === true;
  }

  async list(): Promise<Entry[]> {
    const { lock, gate, tag } = this.keys;
    return (await this.#store.ask(ENTRIES, [lock, gate, tag, this.#isElection])).map(toEntry);
  }

  changed(at: number, signal: AbortSignal): Promise<void> {
    return this.#store.bells.changed(this.#topic, at, signal);
  }

  async break(): Promise<boolean> {
    const { lock, gate } = this.keys;
    try {
      const [[wasHeld] = []] = await this.#store.ask(BREAK, [lock, gate]);
      if (wasHeld !== true) return false;
    } catch (error) {
      // The server gives its part of the lock back at the end of a transaction, this one not even then.
      if (!(error instanceof Interrupted)) await this.#store.ask(END_BREAK, []);
      throw error;
    }
    if (this.#isElection) await this.#store.ask(CHANGED, [this.#store.channel, this.#topic]);
    return true;
  }
}

function toEntry([pid, member, shared, token, since, value]: unknown[]): Entry {
  const mode: Mode = shared === true ? "shared" : "exclusive";
  return {
    // Somebody else's connection may have taken the very same advisory lock.
    memberId: member instanceof Uint8Array ? text(member) : `process ${pid}`,
    attempt: typeof token === "string" ? `${pid}-${token}` : String(pid),
    mode,
    value: value instanceof Uint8Array ? text(value) : "",
    ...(typeof token === "string" ? { token: BigInt(token) } : {}),
    ...(typeof since === "number" ? { since } : {}),
  };
}
