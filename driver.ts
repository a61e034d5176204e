/**
 * The contract between core and a backend's driver. Types only.
 *
 * A session is the unit of liveness: a backend opens one, grants locks on it in its own native way, and keeps group
 * membership that ends with it. All that users see is written once, in core, above this contract. There are no
 * optional methods and no feature flags: a driver that declines something is not finished.
 *
 * Rules for every function of a driver:
 * - It settles within `OpenOptions.timeout`, or what that becomes with another ttl, the watches and the wait of an
 *   `acquire` apart, whose first request is bounded like any other; what could not be carried out by then rejects with
 *   `ConnectionError`. While the connection is being restored it waits for that, within the same bound. Core waits for
 *   no call much longer than that: the one who called hears that its outcome is unknown.
 * - What the backend has no room for (a value, a connection, memory, a disk) rejects with `CapacityError`, which names
 *   the limit and what raises it, for the one who asks alone: neither a session nor a wait nor a watch that there is
 *   already ends by it. Where that may pass soon, it is tried again within the bound. Giving back goes without room
 *   wherever the backend lets it, and else is tried until it does.
 * - A request whose answer was lost is resolved by looking: attempts and presences carry unique ids for that.
 * - Errors of a client library are the `cause` of ours.
 * - Once `Session.lost` has fired or `close()` was called, calls reject with `SessionLostError`, `Grant.release()` and
 *   `Grant.check()` answer false without a request, and pending waits reject.
 *
 * @module
 */
import type { Characteristic } from "./characteristics.ts";

/** What a driver's factory returns and `getCoordinator` takes; opaque to users. Making one connects nothing. */
export interface Backend {
  /** The driver's name, as in its entry module: `"redis"`. */
  readonly driver: string;
  /** What this backend promises with these options. */
  readonly characteristics: ReadonlySet<Characteristic>;
}

/** Makes a backend from a URL. Every driver entry exports one under the driver's name. */
export type DriverFactory = (url?: string | URL) => Backend;

/** A source of time. Core and drivers take all time from the backend's clock, so that tests can make it virtual. */
export interface Clock {
  /** Milliseconds that only ever grow, from an arbitrary origin. */
  now(): number;
  /** Milliseconds since 1970 as the system believes, which may jump. */
  wall(): number;
  /** Calls `fn` once after `ms` milliseconds, never earlier; the returned function cancels. */
  after(ms: number, fn: () => void): () => void;
}

/** The options of a coordinator that may stand in a URL's query, and what a driver's own say of it. */
export interface Defaults {
  memberId?: string;
  namespace?: string;
  ttl?: number;
  margin?: number;
  heartbeat?: "auto" | "manual";
  /** The longest that one operation may take, in ms. */
  timeout?: number;
}

/** A backend as core sees it. */
export interface Opener extends Backend {
  readonly clock: Clock;
  readonly defaults: Defaults;
  /**
   * Opens a session.
   * @throws {ConnectionError} when the backend cannot be reached within `timeout`, or refuses.
   * @throws {CapacityError} when the backend has no room for one more.
   */
  open(options: OpenOptions): Promise<Session>;
}

/** What a session is opened with. */
export interface OpenOptions {
  readonly memberId: string;
  /** Identifies the coordinator: the same for all sessions that it opens, unlike for any other. */
  readonly incarnation: string;
  readonly namespace: string;
  /** Asked for, in ms; what is granted is `Session.ttl`. */
  readonly ttl: number;
  /** The deadline of one operation, the opening included, in ms: a third of `ttl`, or what the user says, or `longest`. */
  readonly timeout: number;
  /**
   * The most that the deadline of an operation may be, in ms. Where another ttl is granted than was asked for, the
   * deadline is a third of that, or this if it is less.
   */
  readonly longest: number;
  /** Cancels the opening only. */
  readonly signal: AbortSignal;
  /** Tells core that the connection went away, or came back, within the life of the session. */
  note(note: "suspended" | "reconnected"): void;
}

/** One life of a coordinator on a backend. A lost one is never revived: core opens another. */
export interface Session {
  /** As granted, in ms. */
  readonly ttl: number;
  /** What ends it where nobody does. */
  readonly ends: Ending;
  /** Fires with a `SessionLostError` when the driver learns that the session is over. */
  readonly lost: AbortSignal;
  readonly locks: LockStore;
  readonly groups: GroupStore;
  /**
   * Renews the session and everything on it, and fires the `lost` of every grant and presence that it finds gone. That
   * takes a constant number of round trips per connection, however much there is; where the backend limits what one
   * request may ask for, as many as its batches (of 128 operations on etcd, of 64 on Consul). Core notes the time before
   * the call. Rejecting means unknown, not lost.
   */
  beat(): Promise<void>;
  /** Gives everything back and disconnects, within the deadline of one operation; idempotent, never rejects. */
  close(): Promise<void>;
  /**
   * Lets go of a session whose deadline has passed: nothing is released, resigned, left or ended before the backend
   * would do so by itself, or before `until`, by the clock, where only the connection or the kernel would. So those who
   * held something have the whole margin to stop in. Core has aborted all attempts that wait, which leave their lines as
   * ever, and makes no further call but `close()`, which gives back at once what is left.
   */
  abandon(until: number): void;
}

/**
 * What ends a session that is neither renewed nor closed:
 * - `"expiry"`: the backend, after `ttl`, by its own clock;
 * - `"connection"`: the backend, when the connection is gone; the driver sees to it that both sides notice that within
 *   `ttl`, and that what the session has is not given to others before;
 * - `"kernel"`: only the kernel, with the process.
 *
 * Core owns the deadline of the first two: it gives a session up a margin before a `ttl` has passed since the last good
 * beat was sent. On all three it does so where the user's heartbeat is manual.
 */
export type Ending = "expiry" | "connection" | "kernel";

/** Locks and elections are two worlds that never meet. */
export type Kind = "lock" | "election";

/** `exclusive`: one holder; `shared`: any number of shared holders and no exclusive one. */
export type Mode = "exclusive" | "shared";

/** Names one lock or election. */
export interface Target {
  readonly kind: Kind;
  readonly name: string;
}

/** One attempt to take a lock. */
export interface Attempt extends Target {
  /** Unique for ever: by it the attempt is found again when an answer was lost. */
  readonly id: string;
  readonly mode: Mode;
  readonly wait: boolean;
  /** What others may read of the holder: an election's value; empty for a lock. */
  readonly value: string;
  /** Aborted when the caller gives up. */
  readonly signal: AbortSignal;
}

/** The locks of one session. */
export interface LockStore {
  /**
   * Takes a lock, waiting in the order of arrival if `attempt.wait`.
   *
   * Core has at most one waiting attempt a name on a session; it may wait while the session holds other grants of the
   * name. Core makes no attempt with `wait: false` that conflicts with a grant of this session.
   * @returns undefined only if the lock is busy, or others wait for it, and `attempt.wait` is false.
   * @throws `attempt.signal.reason` when aborted, once the entry is confirmed gone or, failing that, within `timeout`;
   * the removal is then still retried. A grant that was made meanwhile is undone.
   */
  acquire(attempt: Attempt): Promise<Grant | undefined>;
  /** Holders, and waiters in order where there is a queue. */
  entries(target: Target): Promise<Entry[]>;
  /** The exclusive holder: now, then after every change that may have happened. Ends when `signal` aborts. */
  watch(target: Target, signal: AbortSignal): AsyncIterable<Entry | undefined>;
  /**
   * Takes the lock away from all holders, so that it can be taken; waiters keep their places.
   * @returns whether there was a holder.
   */
  break(target: Target): Promise<boolean>;
}

/** A holder, or a waiter, which has no token. */
export interface Entry {
  readonly memberId: string;
  readonly attempt: string;
  readonly mode: Mode;
  readonly token?: bigint;
  /** When it was granted, in ms since 1970: by the backend's clock, or the holder's where the backend has none. */
  readonly since?: number;
  readonly value: string;
}

/** Tells once that something is gone. An `AbortSignal` is one; less will do. */
export interface Loss {
  /** Whether it has been told. */
  readonly aborted: boolean;
  /** Why. */
  readonly reason: unknown;
  /** Calls back once, when it is told. */
  addEventListener(type: "abort", listener: () => void, options: { readonly once: true }): void;
}

/** A lock held. It belongs to its session and ends with it. */
export interface Grant {
  readonly token: bigint;
  /** Fires with a `LockLostError` when the driver learns that this grant alone is gone. */
  readonly lost: Loss;
  /** Asks the backend whether the lock is still held. */
  check(): Promise<boolean>;
  /** Replaces the value of the attempt; false: the grant was gone. */
  update(value: string): Promise<boolean>;
  /**
   * Gives the lock back, if it is still ours, and hands it to the next. Idempotent: core calls again after a rejection.
   * @returns false: it was gone; `lost` has fired if the reason is known.
   */
  release(): Promise<boolean>;
}

/** The groups of a namespace. `GroupNotCreatedError` is thrown by every call for a group that does not exist. */
export interface GroupStore {
  list(): Promise<string[]>;
  /** @throws {GroupAlreadyExistError} */
  create(id: string): Promise<void>;
  /** @throws {GroupNotEmptyError} */
  delete(id: string): Promise<void>;
  /**
   * Makes the session's member a member of the group. It replaces an entry of the same member id if that is dead, of
   * the same `incarnation`, or if `replace` says so; the replaced presence's `lost` fires.
   * @throws {MemberAlreadyExistError}
   */
  join(id: string, joining: Joining): Promise<Presence>;
  /**
   * Replaces the data of a member; with `presence` only if that is still the present one.
   * @throws {MemberNotJoinedError}
   */
  update(id: string, member: string, data: string, presence?: string): Promise<void>;
  /**
   * Removes a member; with `presence` only if that is still the present one, whose `lost` then need not fire.
   * @throws {MemberNotJoinedError}
   */
  remove(id: string, member: string, presence?: string): Promise<void>;
  /** The group and its live members. */
  members(id: string): Promise<GroupSnapshot>;
  /**
   * Whole snapshots: now, then after every change that may have happened; undefined once the group is deleted, also
   * where another of its id was made since. Ends when `signal` aborts; core has at most one read under way.
   */
  watch(id: string, signal: AbortSignal): AsyncIterable<GroupSnapshot | undefined>;
}

/** What a session joins a group with. */
export interface Joining {
  /** Unique for ever: by it a join is found again when its answer was lost. */
  readonly presence: string;
  /** JSON text of any size that the backend can take. */
  readonly data: string;
  readonly replace: boolean;
}

/** A membership of this session. */
export interface Presence {
  /** Fires with a `MemberNotJoinedError` when the driver learns that the membership was replaced or evicted. */
  readonly lost: AbortSignal;
}

/** A group as it was read. */
export interface GroupSnapshot {
  /** The same for as long as the group exists; another, once it was deleted and made anew. */
  readonly life: string;
  /** The live members by id. */
  readonly members: ReadonlyMap<string, MemberRecord>;
}

/** A live member. */
export interface MemberRecord {
  /** The `Joining.presence` of this membership: tells a replaced member from an updated one. */
  readonly presence: string;
  readonly data: string;
  /** In ms since 1970: by the backend's clock, or the member's where the backend has none. For people to read. */
  readonly joinedAt: number;
  /** As `joinedAt`; never before the update that came before it, though a clock was set back. */
  readonly updatedAt: number;
}
