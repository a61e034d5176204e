import type { Entry, Target } from "../../driver.ts";
import { Cancelled, type Lock, type Place, type Taking } from "../../internal/sql/store.ts";
import { sleep } from "../../internal/clock.ts";
import { readEntries } from "./entries.ts";
import { numberOf } from "./errors.ts";
import { hold, livesOn, lockBase, NOBODY, reader, turnstile } from "./names.ts";
import { wake } from "./news.ts";
import { others, readOthers } from "./others.ts";
import { all, bind, NOW, Raw, sql } from "./sql.ts";
import type { MysqlStore } from "./store.ts";
import { takeStatement, type Wanted } from "./taking.ts";

/** A hold of this driver. */
export interface MysqlPlace extends Place {
  readonly generation: bigint;
  /** The user lock that S holds for it. */
  readonly held: string;
  /** What became of giving it back; undefined: that was not done. */
  given?: boolean;
}

/** One more is an error. */
const GREATEST = "18446744073709551615";
const OUT_OF_RANGE = 1690;

/** A lock that somebody has only for a moment, while taking a hold, is tried again after so many ms. */
const MOMENT = 2;

/** Gives a user lock back, if this connection has it. */
function letGo(name: string): Raw {
  return sql`do if(is_used_lock(${name}) = connection_id(), release_lock(${name}), 0)`;
}

/** A lock or an election. */
export class MysqlLock implements Lock {
  readonly target: Target;
  readonly base: string;
  readonly turnstile: string;
  /** The user locks of the shared holds that were in the way last. */
  readonly readers: string[] = [];
  readonly #store: MysqlStore;

  constructor(store: MysqlStore, target: Target) {
    this.#store = store;
    this.target = target;
    this.base = lockBase(store.database, store.namespace, target);
    this.turnstile = turnstile(this.base);
  }

  get #main() {
    return this.#store.main;
  }

  get #topic(): string {
    return `e.${this.base}`;
  }

  /** As far as it is known here; only broken locks have another than 0. */
  get generation(): bigint {
    return this.#store.generations.get(this.base) ?? 0n;
  }

  async take(taking: Taking): Promise<MysqlPlace | undefined> {
    for (;;) {
      const place = await this.#takeOnce(taking);
      if (place === "busy") return undefined;
      if (place !== "again") {
        this.#changed();
        return place;
      }
      await sleep(this.#store.clock, MOMENT * Math.random());
    }
  }

  async #takeOnce(taking: Taking): Promise<MysqlPlace | "busy" | "again"> {
    const { mode, attempt } = taking;
    const generation = this.generation;
    const h = hold(this.base, generation);
    const held = mode === "shared" ? reader(attempt) : h;
    const { session, memberId } = this.#store;
    const wanted = { base: this.base, generation, h, held };
    const insert = takeStatement(taking, wanted, { session, memberId });
    try {
      // Readers have H only while they enter.
      const inserted = mode === "shared"
        ? (await this.#main.ask(all(insert.plain, letGo(h))))[0]
        : await this.#main.execute(insert);
      if (inserted?.affected === 1) return { token: inserted.inserted, mode, lock: this, generation, held };
    } catch (error) {
      // A deadlock with somebody's rows: the user locks may be ours already.
      if (!(error instanceof Cancelled)) throw error;
    }
    return await this.#why(taking, wanted);
  }

  /** Undoes a try that has failed, and finds out whether it would always have: others only touch a lock, too. */
  async #why({ mode, isHead }: Taking, { generation, h, held }: Wanted): Promise<"busy" | "again"> {
    const [, , waiters, holders, seen] = await this.#store.ask(all(
      letGo(h),
      mode === "shared" ? letGo(held) : sql`do 0`,
      sql`select is_used_lock(${this.turnstile}) as head`,
      sql`select count(*) from tooz_hold
        where base = ${this.base} and mode = 'e' and held = ${h} and is_used_lock(held) = ${
        livesOn("session")
      }`,
      others(this.base),
    ));
    if (!waiters || !holders || !seen) throw new Error("the server has not answered all statements");
    const now = readOthers(seen);
    this.#store.learn(this.base, now.generation);
    if (now.generation !== generation) return "again";
    const isRead = now.readers.length > 0;
    if (mode === "exclusive") this.readers.splice(0, Infinity, ...now.readers);
    const isHeld = mode === "exclusive"
      ? isRead || holders.rows[0]?.[0] !== "0"
      : !isRead && holders.rows[0]?.[0] !== "0";
    return isHeld || (!isHead && waiters.rows[0]?.[0] !== null) ? "busy" : "again";
  }

  async give(place: MysqlPlace): Promise<boolean> {
    // An answer may have come too late for who asked. By now the same user lock may be that of a later hold.
    if (place.given !== undefined) return place.given;
    try {
      return place.given = await this.#give(place);
    } finally {
      this.#store.spent(place.token);
      this.#changed();
    }
  }

  async #give(place: MysqlPlace): Promise<boolean> {
    // An answer with rows would cost as much as the release itself: so it is no answer, or an error.
    const isGiven = bind`release_lock(${place.held}) = 1 and not exists (
      select 1 from tooz_hold where base = ${this.base} and mode = 'g' and gen > ${place.generation})`;
    try {
      await this.#main.execute(bind`set @given = ${new Raw(GREATEST)} + if(${isGiven}, 0, 1)`);
      return true;
    } catch (error) {
      const isEnded = error instanceof Cancelled;
      if (!isEnded && !(error instanceof Error && numberOf(error.cause) === OUT_OF_RANGE)) throw error;
      return await this.#look(place);
    }
  }

  /** What became of a release that was ended in the middle, or of a hold that was broken. */
  async #look(place: MysqlPlace): Promise<boolean> {
    const [answer] = await this.#store.ask(
      sql`select is_used_lock(${place.held}) = connection_id() as held,
        (select max(gen) from tooz_hold where base = ${this.base} and mode = 'g') as gen`,
    );
    const [held, generation] = answer?.rows[0] ?? [];
    if (held === "1") return await this.#give(place);
    return BigInt(generation ?? 0) === place.generation;
  }

  async amend(place: MysqlPlace, value: string): Promise<boolean> {
    const [, answer] = await this.#store.ask(all(
      sql`update tooz_hold set value = ${value} where token = ${place.token}`,
      sql`select max(gen) from tooz_hold where base = ${this.base} and mode = 'g'`,
    ));
    this.#changed();
    return BigInt(answer?.rows[0]?.[0] ?? 0) === place.generation;
  }

  async list(): Promise<Entry[]> {
    const columns = sql`mode, session, member, attempt, value, since`;
    // First those who wait: who becomes a holder meanwhile is seen twice, and not missed.
    const [waiting, holding] = await this.#main.ask(all(
      sql`select null, ${columns}, ${livesOn("session")} is not null, 0 from tooz_wait
        where base = ${this.base} order by id`,
      sql`select token, ${columns}, is_used_lock(held) = ${livesOn("session")}, gen from tooz_hold
        where base = ${this.base} order by token`,
    ));
    return readEntries(waiting?.rows ?? [], holding?.rows ?? []);
  }

  changed(at: number, signal: AbortSignal): Promise<void> {
    return this.#store.news.changed(this.#topic, at, signal);
  }

  async break(): Promise<boolean> {
    const [exclusive, seen] = await this.#store.ask(all(
      sql`select session, gen from tooz_hold
        where base = ${this.base} and mode = 'e' and is_used_lock(held) = ${livesOn("session")}`,
      others(this.base),
    ));
    if (!exclusive || !seen) return false;
    const { generation, sessions } = readOthers(seen);
    const holders = exclusive.rows.filter(([, gen]) => BigInt(gen ?? 0) === generation).map(([session]) =>
      session ?? ""
    );
    const broken = [...new Set([...holders, ...sessions])];
    if (broken.length === 0) return false;
    const [, head] = await this.#store.ask(all(
      sql`insert into tooz_hold (base, mode, gen, held, session, member, attempt, value, since)
        values (${this.base}, 'g', ${generation + 1n}, ${NOBODY}, ${NOBODY}, '', '', '', ${NOW})`,
      sql`select is_used_lock(${this.turnstile}) as head`,
      sql`delete from tooz_hold where base = ${this.base} and mode = 'g' and gen <= ${generation}`,
    ));
    this.#store.learn(this.base, generation + 1n);
    this.#store.news.ringHolds(broken);
    this.#changed();
    // Who has the turn waits for what was broken.
    await wake(this.#main, [head?.rows[0]?.[0] ?? null]);
    return true;
  }

  #changed(): void {
    if (this.target.kind === "election") this.#store.news.ring(this.#topic);
  }
}
