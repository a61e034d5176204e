import type { Target } from "../../driver.ts";
import {
  type Bells,
  Full,
  HOLDS,
  Interrupted,
  type Place,
  type Store,
  type StoreOptions,
} from "../../internal/sql/store.ts";
import { refusalOf } from "../../internal/reason.ts";
import { Breaks } from "./breaks.ts";
import { Connection, type ConnectionOptions, type Prepared, prepared } from "./connection.ts";
import { PostgresqlGroups, text } from "./groups.ts";
import { bytes, spaceOf } from "./keys.ts";
import { PostgresqlLock, type PostgresqlPlace } from "./lock.ts";
import { prepare } from "./prepare.ts";
import { PostgresqlSide } from "./side.ts";
import type { Source } from "./source.ts";

/** So many locks a session keeps the numbers of. */
const REMEMBERED = 1000;

const OPEN = "select tooz.open_session($1, $2, $3)";
const OPEN_SIDE = "select tooz.open_side($1, $2, $3)";
const APPEAR = "select tooz.appear($1, $2)::text";
const LOOK_AGAIN = "select tooz.look_again($1)";
const END = "select tooz.bury($1), pg_advisory_unlock_all()";
const OWNED = prepared(
  "owned",
  `select g.id, m.id from tooz.member m join tooz.groups g on g.number = m.group_number
   where m.session = $1 and g.space = $2`,
);

/** Unlike any other, ever; a positive number of 63 bits. */
function newSession(): string {
  const [number = 0n] = crypto.getRandomValues(new BigUint64Array(1));
  return String(number >> 1n);
}

/** One session: a connection, which holds all its locks. */
export class PostgresqlStore implements Store {
  readonly groups: PostgresqlGroups;
  readonly namespace: string;
  readonly location: string;
  /** The key of its presence. */
  readonly session: string = newSession();
  readonly space: Uint8Array;
  /** On which all sessions of the namespace tell one another. */
  readonly channel: string;
  readonly bells: Bells;
  readonly breaks: Breaks = new Breaks((statement, values) => this.ask(statement, values));
  /** So that a name which is used again need not be hashed again. */
  readonly #locks = new Map<string, PostgresqlLock>();
  /** How often this session has each hold, by its key. */
  readonly #kept = new Map<string, number>();
  readonly #source: Source;
  readonly #options: StoreOptions;
  #connection: Connection | undefined;
  /** How far the server's clock is ahead of ours, in ms. */
  #ahead = 0;

  private constructor(source: Source, options: StoreOptions) {
    const space = spaceOf(options.namespace);
    this.#source = source;
    this.#options = options;
    this.location = source.location;
    this.namespace = options.namespace;
    this.space = space;
    this.channel = `tooz_${space.toString("hex")}`;
    this.bells = options.bells;
    this.groups = new PostgresqlGroups(this, options.bells);
  }

  /** Opens a session on the first server that can be used; where none can, says of each why. */
  static async open(sources: readonly Source[], options: StoreOptions): Promise<PostgresqlStore> {
    const failures: Error[] = [];
    for (const source of sources) {
      const store = new PostgresqlStore(source, { ...options, limit: options.limit / sources.length });
      try {
        await store.#open();
        return store;
      } catch (error) {
        store.destroy();
        options.signal.throwIfAborted();
        failures.push(error as Error); // Only errors are thrown here.
      }
    }
    const [failure] = failures;
    if (failures.length === 1) throw failure;
    const each = failures.map((one, i) => `"${sources[i]?.location}": ${refusalOf(one)}`);
    const why = `no host can be used; ${each.join("; ")}`;
    const full = failures.find((one) => one instanceof Full);
    throw full ? new Full(why, { cause: full.cause }) : new Interrupted(why, { cause: failure });
  }

  async #open(): Promise<void> {
    const { clock, signal, memberId, bells, gone } = this.#options;
    const connection = this.#connection = await this.#connect(false, {
      signal,
      ended: gone,
      notified: (channel, payload) => bells.ring(channel === this.channel ? payload : HOLDS),
    });
    await connection.askSoon(`listen "${this.channel}"; listen "tooz_${this.session}"`);
    const asked = clock.wall();
    const [[now] = []] = await connection.askSoon(OPEN, [this.session, this.space, bytes(memberId)]);
    this.#ahead = Number(now) - (asked + clock.wall()) / 2;
    await this.breaks.read();
    signal.throwIfAborted();
  }

  async #connect(waits: boolean, hooks: Pick<ConnectionOptions, "signal" | "ended" | "notified"> = {}) {
    const { clock, limit, ttl } = this.#options;
    const connection = await Connection.open(this.#source, { clock, limit, ...hooks });
    try {
      await prepare(connection, { driver: "postgresql", ttl, waits });
      return connection;
    } catch (error) {
      connection.destroy();
      throw error;
    }
  }

  wall(): number {
    return Math.round(this.#options.clock.wall() + this.#ahead);
  }

  /** Asks on the session's connection. */
  ask(statement: Prepared | string, values: unknown[]): Promise<unknown[][]> {
    if (!this.#connection) return Promise.reject(new Interrupted("the session is over"));
    return this.#connection.ask(statement, values);
  }

  async standing(holds: readonly Place[]): Promise<ReadonlySet<Place>> {
    const places = holds as readonly PostgresqlPlace[]; // Its locks make them all.
    await this.breaks.read();
    return new Set(
      places.filter(({ lock, generation }) => this.breaks.of(lock.keys).number === generation.number),
    );
  }

  async owned(): Promise<ReadonlySet<string>> {
    const rows = await this.ask(OWNED, [this.session, this.space]);
    return new Set(rows.map(([group, member]) => this.groups.path(text(group), text(member))));
  }

  lock(target: Target): PostgresqlLock {
    const key = `${target.kind}:${target.name}`;
    const known = this.#locks.get(key);
    if (known) return known;
    const lock = new PostgresqlLock(this, { kind: target.kind, name: target.name });
    if (this.#locks.size >= REMEMBERED) this.#locks.clear();
    this.#locks.set(key, lock);
    return lock;
  }

  watchman(): Promise<PostgresqlSide> {
    return this.side();
  }

  async side(): Promise<PostgresqlSide> {
    const connection = await this.#connect(true);
    await connection.askSoon(OPEN_SIDE, [this.session, this.space, bytes(this.#options.memberId)]);
    return new PostgresqlSide(this, connection);
  }

  async appear(): Promise<void> {
    const [[before] = []] = await this.ask(APPEAR, [this.session, this.space]);
    if (typeof before === "string") await this.ask(LOOK_AGAIN, [before]);
  }

  async end(): Promise<void> {
    await this.ask(END, [this.session]);
  }

  /** Notes that the session has a hold once more, or once less. */
  keep(hold: string, change: 1 | -1): void {
    const count = (this.#kept.get(hold) ?? 0) + change;
    if (count > 0) this.#kept.set(hold, count);
    else this.#kept.delete(hold);
  }

  /** Whether the session has a hold. */
  keeps(hold: string): boolean {
    return this.#kept.has(hold);
  }

  /** Ends the session because it is not what we think. */
  giveUp(cause: unknown): void {
    this.destroy();
    this.#options.gone(cause);
  }

  destroy(): void {
    this.#connection?.destroy();
  }
}
