import { ConnectionError, type CoordError, SessionLostError } from "../../core/errors.ts";
import type { Clock, OpenOptions, Session } from "../../driver.ts";
import { isPassing } from "../passing.ts";
import { refusalOf } from "../reason.ts";
import { TreeGroups } from "../tree/groups.ts";
import type { Host } from "../tree/host.ts";
import type { TreeMember } from "../tree/member.ts";
import { BellBoard } from "./bells.ts";
import { failureOf } from "./failure.ts";
import { Holds } from "./holds.ts";
import { SqlLocks } from "./locks.ts";
import { Ring } from "./ring.ts";
import { Sides } from "./sides.ts";
import { Interrupted, type Store, type StoreOptions } from "./store.ts";
import { Turns } from "./turns.ts";

/** Opens a session of a store; rejects with `Interrupted` where no server can be reached. */
export type Connect = (options: StoreOptions) => Promise<Store>;

/** What a driver brings to its sessions. */
export interface SqlSettings {
  /** The driver's name. */
  readonly driver: string;
  readonly clock: Clock;
  /** So many waits a session may have under way at once. */
  readonly maxWaiting: number;
}

/** Opens a session in a database: what both have in common. */
export async function openSql(
  connect: Connect,
  settings: SqlSettings,
  options: OpenOptions,
): Promise<Session> {
  options.signal.throwIfAborted();
  const hooks = { gone: (_cause: unknown) => {}, holds: () => {} };
  const bells = new BellBoard(() => hooks.holds());
  try {
    const store = await connect({
      clock: settings.clock,
      namespace: options.namespace,
      memberId: options.memberId,
      incarnation: options.incarnation,
      ttl: options.ttl,
      limit: options.timeout,
      signal: options.signal,
      bells,
      gone: (cause) => hooks.gone(cause),
    });
    const session = new SqlSession(store, { ...settings, bells }, options);
    hooks.gone = (cause) => session.lose(cause);
    hooks.holds = () => session.suspect();
    return session;
  } catch (cause) {
    options.signal.throwIfAborted();
    throw cause instanceof ConnectionError || !(cause instanceof Error)
      ? cause
      : unopened(settings.driver, cause);
  }
}

function unopened(driver: string, error: Error): CoordError {
  const cause = error instanceof Interrupted ? error.cause ?? error : error;
  return failureOf(cause, { message: `Cannot open a session on ${driver}: ${refusalOf(error)}`, driver });
}

/** One life of a coordinator in a database: that of one connection. */
export class SqlSession implements Session, Host {
  readonly ttl: number;
  readonly ends = "connection";
  readonly locks: SqlLocks;
  readonly groups: TreeGroups;
  readonly store: Store;
  readonly clock: Clock;
  readonly driver: string;
  readonly memberId: string;
  readonly incarnation: string;
  readonly calls: Turns;
  readonly bells: BellBoard;
  readonly sides: Sides;
  readonly holds: Holds = new Holds();
  readonly members = new Set<TreeMember>();
  readonly #timeout: number;
  readonly #ring: Ring = new Ring(this);
  readonly #lost = new AbortController();
  readonly #debts = new Set<() => Promise<void>>();
  #looking: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  /** Cancels that it is closed after a while. */
  #closeLater: () => void = () => {};

  constructor(store: Store, settings: SqlSettings & { bells: BellBoard }, options: OpenOptions) {
    this.store = store;
    this.ttl = options.ttl;
    this.clock = settings.clock;
    this.driver = settings.driver;
    this.bells = settings.bells;
    this.memberId = options.memberId;
    this.incarnation = options.incarnation;
    this.#timeout = options.timeout;
    this.calls = new Turns({
      clock: settings.clock,
      driver: settings.driver,
      location: store.location,
      timeout: options.timeout,
      suspended: () => options.note("suspended"),
      restored: () => {
        options.note("reconnected");
        this.bells.ring();
      },
    });
    this.sides = new Sides({
      clock: settings.clock,
      driver: settings.driver,
      location: store.location,
      most: settings.maxWaiting,
      open: () => store.side(),
    });
    this.locks = new SqlLocks(this);
    this.groups = new TreeGroups(this);
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** The deadline of what is asked of a side, in ms. */
  get limit(): number {
    return this.#timeout * 2 / 3;
  }

  wall(): number {
    return this.store.wall();
  }

  appear(): Promise<void> {
    return this.#ring.start();
  }

  async beat(): Promise<void> {
    for (const debt of this.#debts) void debt();
    await this.#look();
    // What nobody was told of is seen now.
    this.bells.ring();
  }

  /** Somebody says that a hold or a membership is gone. */
  suspect(): void {
    // One look may be under way that has not seen it.
    this.#looking = (this.#looking ?? Promise.resolve()).then(() => this.#look()).catch(() => {});
  }

  /** Finds out what of the session is gone. */
  async #look(): Promise<void> {
    const holds = this.holds.all.filter((hold) => hold.held);
    const members = [...this.members].filter((member) => member.held);
    const standing = this.calls.runFirst(() => this.store.standing(holds.map(({ place }) => place)));
    const owned = members.length === 0
      ? new Set<string>()
      : this.calls.runFirst(() => this.store.owned(members.map(({ path }) => path)));
    const [stand, own] = await Promise.all([standing, owned]);
    for (const hold of holds) if (!stand.has(hold.place)) hold.lose();
    for (const member of members) if (!own.has(member.path)) member.lose();
  }

  /** Gives something back now and, if that fails, whenever there is a chance; settles after the first try. */
  async owe(give: () => Promise<boolean>, settled: Promise<unknown> = Promise.resolve()): Promise<void> {
    await settled;
    const debt = async () => {
      try {
        await this.calls.run(give);
        this.#debts.delete(debt);
      } catch (error) {
        if (!isPassing(error)) this.#debts.delete(debt);
      }
    };
    this.#debts.add(debt);
    await debt();
  }

  /** Tells that S broke. */
  lose(cause: unknown): void {
    if (this.calls.over) return;
    const why = cause instanceof Error ? cause.message : "its connection broke";
    this.calls.end(this.#error(`was lost: ${why}`, cause), cause);
    this.#lost.abort(this.calls.over);
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  /** The server frees what the connections hold once they are closed: not yet. */
  abandon(until: number): void {
    this.#closeLater = this.clock.after(until - this.clock.now(), () => void this.close());
  }

  async #close(): Promise<void> {
    this.#closeLater();
    const isOpen = !this.calls.over;
    if (isOpen) this.calls.end(this.#error("was closed"));
    this.#ring.destroy();
    this.sides.destroy();
    if (isOpen) {
      const late = Promise.withResolvers<void>();
      const stop = this.clock.after(this.#timeout, late.resolve);
      await Promise.race([this.calls.last(() => this.store.end()).catch(() => {}), late.promise]);
      stop();
    }
    this.store.destroy();
  }

  #error(state: string, cause?: unknown): SessionLostError {
    return new SessionLostError(`Session of "${this.memberId}" ${state}`, { driver: this.driver, cause });
  }
}
