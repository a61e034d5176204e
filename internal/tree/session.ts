import { bounded } from "../../core/abort.ts";
import { CapacityError, ConnectionError, CoordError, SessionLostError } from "../../core/errors.ts";
import type { Clock, OpenOptions, Session } from "../../driver.ts";
import { isPassing } from "../passing.ts";
import { reasonOf, refusalOf } from "../reason.ts";
import { timeoutOf } from "../timeout.ts";
import { Calls } from "./calls.ts";
import { TreeGroups } from "./groups.ts";
import type { TreeHold } from "./hold.ts";
import type { Host } from "./host.ts";
import { TreeLocks } from "./locks.ts";
import type { TreeMember } from "./member.ts";
import { Interrupted, type Store, type StoreOptions } from "./store.ts";

/** Opens a session of a store; rejects with `Interrupted` where no server can be reached. */
export type Connect = (options: StoreOptions) => Promise<Store>;

/** What a driver brings to its sessions. */
export interface TreeSettings {
  /** The driver's name. */
  readonly driver: string;
  readonly clock: Clock;
}

/** Opens a session on a store: what all stores of nodes share. */
export async function openTree(
  connect: Connect,
  settings: TreeSettings,
  options: OpenOptions,
): Promise<Session> {
  options.signal.throwIfAborted();
  const hooks: Pick<StoreOptions, "broken"> = { broken: () => {} };
  try {
    const store = await connect({
      clock: settings.clock,
      namespace: options.namespace,
      memberId: options.memberId,
      ttl: options.ttl,
      // The rest of the time is for another server.
      limit: options.timeout * 2 / 3,
      signal: options.signal,
      broken: (cause) => hooks.broken(cause),
    });
    const session = new TreeSession(store, settings, options);
    hooks.broken = (cause) => session.calls.suspend(cause);
    return session;
  } catch (cause) {
    options.signal.throwIfAborted();
    throw explain(settings.driver, cause);
  }
}

/** Errors of ours say enough; those of client libraries become the cause of one. */
function explain(driver: string, error: unknown): unknown {
  if (error instanceof Interrupted) {
    if (error.cause instanceof CapacityError) return error.cause;
    return new ConnectionError(`Cannot reach ${driver}: ${refusalOf(error)}`, {
      driver,
      cause: error.cause ?? error,
    });
  }
  if (error instanceof CoordError || error instanceof RangeError) return error;
  return new ConnectionError(`Cannot open a session of ${driver}: ${reasonOf(error)}`, {
    driver,
    cause: error,
  });
}

/** One life of a coordinator on a store. */
export class TreeSession implements Session, Host {
  readonly ttl: number;
  readonly ends = "expiry";
  readonly locks: TreeLocks;
  readonly groups: TreeGroups;
  readonly store: Store;
  readonly clock: Clock;
  readonly driver: string;
  readonly memberId: string;
  readonly incarnation: string;
  readonly calls: Calls;
  readonly holds = new Set<TreeHold>();
  readonly members = new Set<TreeMember>();
  /** The deadline of one operation, in ms. */
  readonly #timeout: number;
  readonly #options: OpenOptions;
  readonly #lost = new AbortController();
  readonly #debts = new Set<() => Promise<void>>();
  #closing: Promise<void> | undefined;
  /** Cancels that it is disconnected without giving anything back. */
  #disconnectLater: () => void = () => {};

  constructor(store: Store, settings: TreeSettings, options: OpenOptions) {
    this.#options = options;
    this.#timeout = timeoutOf(options, store.ttl);
    this.store = store;
    this.ttl = store.ttl;
    this.clock = settings.clock;
    this.driver = settings.driver;
    this.memberId = options.memberId;
    this.incarnation = options.incarnation;
    this.calls = new Calls(store, {
      clock: settings.clock,
      driver: settings.driver,
      timeout: this.#timeout,
      lose: () => this.lose(),
      suspended: () => options.note("suspended"),
      restored: () => this.#restored(),
    });
    this.locks = new TreeLocks(this);
    this.groups = new TreeGroups(this);
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  async beat(): Promise<void> {
    for (const debt of this.#debts) void debt();
    const renewed = this.calls.runFirst(() => this.store.renew());
    // Together: what is gone is to be told as early as the renewal.
    await Promise.all([renewed, this.#look()]);
  }

  /** Finds out what of the session is gone. */
  async #look(): Promise<void> {
    const mine = [...this.holds, ...this.members].filter((one) => one.held);
    if (mine.length === 0) return;
    const paths = mine.map(({ path }) => path);
    const owned = await this.calls.runFirst(() => this.store.owned(paths));
    for (const one of mine) if (!owned.has(one.path)) one.lose();
  }

  /**
   * Removes something now and, if that fails, whenever there is a chance. `settled` is the request that may have made
   * it: while that can still be carried out, finding nothing proves nothing. Settles after the first try.
   */
  async owe(remove: () => Promise<boolean>, settled: Promise<boolean>): Promise<void> {
    const isClear = await settled;
    const until = this.clock.now() + this.#timeout;
    const debt = async () => {
      try {
        const removed = await this.calls.run(remove);
        if (removed || isClear || this.clock.now() > until) this.#debts.delete(debt);
      } catch (error) {
        if (!isPassing(error)) this.#debts.delete(debt);
      }
    };
    this.#debts.add(debt);
    await debt();
  }

  #restored(): void {
    this.#options.note("reconnected");
    for (const debt of this.#debts) void debt();
    // What it cannot find out, the next beat will.
    this.#look().catch(() => {});
  }

  wall(): number {
    return this.clock.wall();
  }

  /** A store of nodes tells of dead sessions by itself. */
  appear(): Promise<void> {
    return Promise.resolve();
  }

  /** Tells that the store has ended the session. */
  lose(): void {
    if (this.calls.over) return;
    this.calls.end(this.#error("was lost: the server has ended it"));
    this.#lost.abort(this.calls.over);
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#disconnectLater();
    if (!this.calls.over) {
      this.calls.end(this.#error("was closed"));
      await bounded(this.clock, this.store.end(), this.#timeout);
    }
    this.store.destroy();
  }

  /** The server ends it after the ttl; what waits may still leave its line. */
  abandon(): void {
    this.#disconnectLater = this.clock.after(this.#timeout, () => {
      if (!this.calls.over) this.calls.end(this.#error("was abandoned"));
      void this.close();
    });
  }

  #error(state: string): SessionLostError {
    return new SessionLostError(`Session of "${this.memberId}" ${state}`, { driver: this.driver });
  }
}
