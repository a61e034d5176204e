import { bounded } from "../../core/abort.ts";
import type { Clock, Target } from "../../driver.ts";
import {
  type Bells,
  HOLDS,
  type Place,
  type Side,
  type Store,
  type StoreOptions,
  type Taking,
} from "../../internal/sql/store.ts";
import type { Answer } from "./answers.ts";
import { Connection } from "./connection.ts";
import { numberOf } from "./errors.ts";
import { MysqlGroups } from "./groups.ts";
import { MysqlLock, type MysqlPlace } from "./lock.ts";
import { presence, rest } from "./names.ts";
import { News } from "./news.ts";
import { buryAllOn, leaveOn } from "./rows.ts";
import { PROBES, TABLES } from "./schema.ts";
import type { Source } from "./source.ts";
import { all, digest, NOW, Raw, sql } from "./sql.ts";
import { MysqlSide } from "./side.ts";

/** Rows of holds that were given back are removed so many at a time. */
const BATCH = 64;
/** The table does not exist. */
const ABSENT = 1146;

/** One session of a database. */
export class MysqlStore implements Store {
  readonly location: string;
  readonly namespace: string;
  readonly memberId: string;
  readonly session: string = crypto.randomUUID().replaceAll("-", "");
  readonly clock: Clock;
  readonly bells: Bells;
  readonly groups: MysqlGroups = new MysqlGroups(this);
  readonly news: News;
  readonly main: Connection;
  /** As the server calls it. */
  readonly database: string;
  readonly space: string;
  /** Of the locks that were ever broken, as far as they are known here. */
  readonly generations = new Map<string, bigint>();
  /** In ms. */
  readonly ttl: number;
  /** Settles with the end of the session. */
  readonly guarding: Promise<void>;
  readonly #source: Source;
  readonly #options: StoreOptions;
  readonly #spent: bigint[] = [];
  readonly #over = new AbortController();
  #wall = { at: 0, now: 0 };

  private constructor(source: Source, options: StoreOptions, main: Connection) {
    const { clock, bells, namespace, memberId, ttl } = options;
    this.#source = source;
    this.#options = options;
    this.location = source.location;
    this.namespace = namespace;
    this.memberId = memberId;
    this.clock = clock;
    this.bells = bells;
    this.ttl = ttl;
    this.main = main;
    this.database = main.database;
    this.space = digest(main.database, namespace);
    const connect = () => this.#connect();
    this.news = new News({ clock, bells, main, session: this.session, ttl, connect });
    this.guarding = new Promise((resolve) => this.#over.signal.addEventListener("abort", () => resolve()));
  }

  static async open(source: Source, options: StoreOptions): Promise<MysqlStore> {
    const { clock, limit, signal } = options;
    const main = await Connection.open(source, {
      clock,
      limit,
      signal,
      // Longer than a process may stand still: where nothing expires, it finds all as it was.
      idle: 2 * options.ttl + 10_000,
      broken: (cause) => options.gone(cause),
    });
    const store = new MysqlStore(source, options, main);
    try {
      await store.#enter();
      // Who is told things late is told by its beats.
      await bounded(clock, store.news.listen(), limit / 4);
      buryAllOn(main).catch(() => {}); // Another time, or another session.
      return store;
    } catch (error) {
      store.destroy();
      throw error;
    }
  }

  /** Makes the tables that are missing, finds out whether they can be used, and is present from then on. */
  async #enter(): Promise<void> {
    const enter = all(
      ...PROBES.map((probe) => new Raw(probe)),
      // Before its first row: those of a session without presence are anybody's to remove.
      sql`select get_lock(${presence(this.session)}, 0), get_lock(${rest(this.session)}, 0), ${NOW}`,
      sql`insert into tooz_watch (topic, session, rung) values (${HOLDS}, ${this.session}, 0)`,
    );
    const entered = this.main.askSoon(enter).catch(async (error: unknown) => {
      if (!(error instanceof Error) || numberOf(error.cause) !== ABSENT) throw error;
      for (const table of Object.values(TABLES)) await this.main.askSoon(new Raw(table));
      return await this.main.askSoon(enter);
    });
    const [answer] = (await entered).slice(-2);
    this.#setWall(answer?.rows[0]?.[2], this.clock.now());
  }

  wall(): number {
    return this.#wall.at + Math.round(this.clock.now() - this.#wall.now);
  }

  /** Asks on S; what was ended to resolve a deadlock is asked again. */
  ask(request: Raw): Promise<Answer[]> {
    return this.main.insist(request);
  }

  async standing(holds: readonly Place[]): Promise<ReadonlySet<Place>> {
    const own = holds as readonly MysqlPlace[]; // Of this store, as all of the session are.
    const bases = own.map(({ lock }) => (lock as MysqlLock).base);
    const sent = this.clock.now();
    const [time, broken, rows] = await this.ask(all(
      sql`select ${NOW}`,
      ...(own.length === 0 ? [] : [
        sql`select base, max(gen) from tooz_hold where base in (${bases}) and mode = 'g' group by base`,
        // An operator may have removed them: nobody keeps away from a reader without a row.
        sql`select token from tooz_hold where token in (${own.map(({ token }) => token)})`,
      ]),
    ));
    this.#setWall(time?.rows[0]?.[0], (sent + this.clock.now()) / 2);
    // After it: it may be a heartbeat.
    this.#sweep();
    this.news.nudge();
    const generations = new Map((broken?.rows ?? []).map(([base, gen]) => [base, BigInt(gen ?? 0)]));
    const tokens = new Set((rows?.rows ?? []).map(([token]) => token));
    return new Set(
      own.filter((place, i) =>
        (generations.get(bases[i] ?? "") ?? 0n) === place.generation && tokens.has(String(place.token))
      ),
    );
  }

  #setWall(text: string | null | undefined, now: number): void {
    this.#wall = { at: Number(text), now };
  }

  async owned(paths: readonly string[]): Promise<ReadonlySet<string>> {
    const bases = paths.map((path) => path.split("/")[0] ?? "");
    const [members] = await this.ask(
      sql`select base, member from tooz_member where base in (${bases}) and session = ${this.session}`,
    );
    return new Set((members?.rows ?? []).map(([base, member]) => `${base}/${member}`));
  }

  lock(target: Target): MysqlLock {
    return new MysqlLock(this, target);
  }

  async side(): Promise<Side> {
    const hooks = { broken: () => {} };
    const side = new MysqlSide(this, await this.#connect(() => hooks.broken()));
    hooks.broken = () => side.destroy();
    return side;
  }

  /** The ear guards. */
  watchman(): Promise<Pick<Side, "guard" | "destroy">> {
    return Promise.resolve({ guard: () => this.guarding, destroy: () => {} });
  }

  #connect(broken: () => void = () => {}): Promise<Connection> {
    const { clock, limit } = this.#options;
    const signal = new AbortController().signal; // The deadline ends it.
    // One that has gone while it had the turn must not keep it.
    return Connection.open(this.#source, { clock, limit, idle: this.ttl, signal, broken });
  }

  async appear(): Promise<void> {
    const { space, session } = this;
    const [entered] = await this.ask(
      sql`insert into tooz_session (space, session) values (${space}, ${session})`,
    );
    const id = entered?.inserted ?? 0n;
    // Who guards the next one is to guard this one.
    const [before] = await this.ask(
      sql`select session from tooz_session
        where space = ${space} and id <> ${id} order by id > ${id}, id desc limit 1`,
    );
    this.news.guard(space, id, before?.rows[0]?.[0] ?? session);
  }

  /** A lock has this generation now. */
  learn(base: string, generation: bigint): void {
    if (generation > 0n) this.generations.set(base, generation);
  }

  /** The row of a hold that was given back may go. */
  spent(token: bigint): void {
    this.#spent.push(token);
    if (this.#spent.length >= BATCH) this.#sweep();
  }

  #sweep(): void {
    const tokens = this.#spent.splice(0);
    if (tokens.length === 0) return;
    // What stays goes with the session.
    this.main.ask(sql`delete from tooz_hold where token in (${tokens})`).catch(() => {});
  }

  /**
   * An attempt waits: others may see it, once nobody who comes later can be faster.
   * @param isOver Whether it has the turn already, or waits no more.
   */
  async enter(lock: MysqlLock, { attempt, mode, value }: Taking, isOver: () => boolean): Promise<void> {
    const letter = mode === "shared" ? "s" : "e";
    try {
      while (!isOver() && await this.#isFree(lock.turnstile));
      await this.ask(
        sql`insert into tooz_wait (base, mode, session, member, attempt, value, since) values
          (${lock.base}, ${letter}, ${this.session}, ${this.memberId}, ${attempt}, ${value}, ${NOW})`,
      );
    } catch {
      // It waits all the same.
    }
  }

  async #isFree(name: string): Promise<boolean> {
    const [answer] = await this.main.ask(sql`select is_free_lock(${name})`);
    return answer?.rows[0]?.[0] === "1";
  }

  /** It waits no longer. */
  async leave(attempt: string): Promise<void> {
    await this.ask(sql`delete from tooz_wait where attempt = ${attempt}`).catch(() => {}); // It goes with the session.
  }

  async end(): Promise<void> {
    await leaveOn(this.main, this.session);
    await this.main.ask(sql`select release_all_locks()`);
  }

  destroy(): void {
    this.#over.abort();
    this.news.destroy();
    this.main.destroy();
  }
}
