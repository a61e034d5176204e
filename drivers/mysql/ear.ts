import { Cancelled, HOLDS, Interrupted } from "../../internal/sql/store.ts";
import type { Answer } from "./answers.ts";
import type { Connection } from "./connection.ts";
import { EAR, presence, rest } from "./names.ts";
import type { NewsOptions } from "./news.ts";
import { buryOn } from "./rows.ts";
import { Raw, sql } from "./sql.ts";

/**
 * The connection of a session that waits in the server: until it is told, or until the session that comes after this one
 * has ended.
 *
 * It is told by KILL QUERY, so each of its requests is one statement: between two of one request, that would end the
 * request and leave the client without an answer.
 */
export class Ear {
  /** Where the session stands in the ring; undefined: it guards nobody. */
  place: { readonly space: string; readonly id: bigint } | undefined;
  readonly #connection: Connection;
  readonly #options: NewsOptions;
  #rung: ReadonlyMap<string, string> | undefined;
  #guarded: string | undefined;

  constructor(connection: Connection, options: NewsOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  /** By which others tell it. */
  get id(): number {
    return this.#connection.id;
  }

  /** From now on it is this connection that others wake. */
  async attend(): Promise<void> {
    const name = EAR + this.#options.session;
    const { rows } = await this.#ask(sql`select get_lock(${name}, 0) as got, is_used_lock(${name}) as other`);
    const [got, other] = rows[0] ?? [];
    if (got === "1") return;
    // The one before it has ended, and the server does not know yet.
    if (other) await this.#ask(sql`kill ${BigInt(other)}`);
    throw new Interrupted("another connection listens");
  }

  /** Passes on what was rung, and waits for more. */
  async hear(): Promise<void> {
    const state = await this.#listen();
    await this.#bury();
    this.#guarded = await this.#next();
    await this.#wait(state);
  }

  /**
   * How often each topic was rung, in one number: it is compared where nothing can come between. Of cyclic redundancy
   * checks, those of two topics that are rung at once would cancel each other out.
   */
  get #state(): Raw {
    const { session } = this.#options;
    const hash = sql`cast(conv(left(sha2(concat(topic, ':', rung), 256), 16), 16, 10) as unsigned)`;
    return sql`(select bit_xor(${hash}) from tooz_watch where session = ${session})`;
  }

  async #listen(): Promise<bigint> {
    const { session, bells } = this.#options;
    const { rows } = await this.#ask(
      sql`select topic, rung, ${this.#state} as state from tooz_watch where session = ${session}`,
    );
    const before = this.#rung;
    const rung = new Map(rows.map(([topic, count]) => [topic ?? "", count ?? ""]));
    this.#rung = rung;
    if (before) { for (const [topic, count] of rung) if (before.get(topic) !== count) bells.ring(topic); }
    else {
      // What happened before could not be heard.
      bells.ring();
      bells.ring(HOLDS);
    }
    return BigInt(rows[0]?.[2] ?? 0);
  }

  /** The session that comes after this one. */
  async #next(): Promise<string | undefined> {
    if (!this.place) return undefined;
    const { space, id } = this.place;
    const { rows } = await this.#ask(
      sql`select session from tooz_session where space = ${space} and id <> ${id} order by id < ${id}, id limit 1`,
    );
    return rows[0]?.[0] ?? undefined;
  }

  async #wait(state: bigint): Promise<void> {
    // The tables are looked at as long as this lasts: each beat ends it.
    const seconds = Math.ceil(this.#options.ttl / 1000) + 5;
    const { session } = this.#options;
    // What S has until it ends. Not sleep(): MariaDB takes half a second to end that when many sleep.
    const wait = this.#guarded === undefined ? rest(session) : presence(this.#guarded);
    try {
      const [answer] = await this.#connection.ask(
        sql`select if(${this.#state} = ${state}, get_lock(${wait}, ${seconds}), 0) as ended`,
      );
      if (this.#guarded === undefined && answer?.rows[0]?.[0] === "1") {
        throw new Interrupted("the session's connection has ended");
      }
    } catch (error) {
      if (!(error instanceof Cancelled)) throw error;
    }
  }

  /** Tells that the session which was guarded is dead, if it is. */
  async #bury(): Promise<void> {
    const session = this.#guarded;
    if (session === undefined) return;
    // A wait that was ended may have been granted all the same; so may the release be done whose answer is that it was
    // ended, so that only who has the presence now tells whether it is dead.
    const name = presence(session);
    const { rows } = await this.#ask(
      sql`select release_lock(${name}) as given, is_used_lock(${name}) as other`,
    );
    if (rows[0]?.[1] === null) await buryOn(this.#options.main, session);
    this.#guarded = undefined;
  }

  async #ask(request: Raw): Promise<Answer> {
    for (;;) {
      try {
        const [answer] = await this.#connection.askSoon(request);
        if (answer) return answer;
      } catch (error) {
        // Told meanwhile: what is asked is new enough, or is asked again.
        if (!(error instanceof Cancelled)) throw error;
      }
    }
  }

  destroy(): void {
    this.#connection.destroy();
  }
}
