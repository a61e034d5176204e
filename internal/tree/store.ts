/**
 * What ZooKeeper, etcd and Consul have in common: nodes that vanish with their session, in the order of their making;
 * changes on a condition; and word when something changes. Their drivers implement this for one session each. The
 * queues of locks, the groups, and all dealing with failures stand once, in this folder, above it.
 *
 * Rules for every request:
 * - It settles within `StoreOptions.limit`, the waits for a change apart. What has no answer by then, or lost its
 *   connection, rejects with {@linkcode Interrupted}: it may have been carried out, now or later. The store has given
 *   the connection up by itself then, and the next request makes another, to another server if there are several.
 * - It rejects with {@linkcode SessionGone} when the server does not know the session any longer.
 * - Any other error is the server's refusal and final. Credentials never stand in an error.
 * - It is never sent twice unseen: who repeats it is the caller, who says `again`.
 */
import type { Clock, Mode, Target } from "../../driver.ts";

/**
 * The answer to a request will not come; it may have been carried out. Where that is for a limit which others may leave
 * soon, the cause is a `CapacityError`: who waits for that in vain is told so.
 */
export class Interrupted extends Error {}

/** The server has ended the session. */
export class SessionGone extends Error {}

/** What a store is opened with. */
export interface StoreOptions {
  readonly clock: Clock;
  readonly namespace: string;
  readonly memberId: string;
  /** Asked for, in ms. */
  readonly ttl: number;
  /** The deadline of one request, in ms. */
  readonly limit: number;
  /** Cancels the opening only. */
  readonly signal: AbortSignal;
  /** Tells that an idle connection broke, where the store notices. */
  broken(cause: unknown): void;
}

/** One session of a store, and what can be asked on its behalf. */
export interface Store {
  /** As granted, in ms. */
  readonly ttl: number;
  /** Where it is, for errors: `10.0.0.1:2379`. */
  readonly location: string;
  /** So many requests are made at once, heartbeats apart; more would only wait for each other with their deadlines running. */
  readonly lanes: number;
  /** Renews the session. */
  renew(): Promise<void>;
  /** Those of the nodes that exist and belong to this session, in a constant number of round trips. */
  owned(paths: readonly string[]): Promise<ReadonlySet<string>>;
  /** Ends the session and with it all its nodes. */
  end(): Promise<void>;
  /** Disconnects at once and for good: whatever waits rejects. Nothing of it keeps the process alive. */
  destroy(): void;
  /** The queue of a lock or an election; asks nothing yet. */
  line(target: Target): Line;
  readonly groups: Groups;
}

/** A point in the history of a store, in its own terms. */
export type Position = string;

/** The queue of one lock: an entry is a node of its session. */
export interface Line {
  /**
   * Puts an entry at the end and looks who is before it.
   * @param again an earlier try may have been carried out: then the entry stands there already
   */
  enter(entry: NewEntry, again: boolean): Promise<Standing>;
  /** Looks again; undefined: the entry is gone. */
  look(entry: NewEntry, place: Place): Promise<Standing | undefined>;
  /** Removes an entry, which is found by its id where its place is not known; false: there is none. */
  leave(entry: NewEntry, place?: Place): Promise<boolean>;
  /** Replaces the value of an entry; false: there is none. */
  amend(place: Place, value: string): Promise<boolean>;
  /** All entries in their order. Linearizable. */
  list(): Promise<{ readonly entries: readonly LineEntry[]; readonly at: Position }>;
  /** Removes anybody's entry; false: it is not there any more. */
  remove(place: Place): Promise<boolean>;
  /**
   * Resolves when the entry was changed or removed after `at`, or may have been; without a path, when any entry was
   * added or removed. Rejects with `Interrupted` when it can hear nothing more, and with the signal's reason.
   */
  changed(path: string | undefined, at: Position, signal: AbortSignal): Promise<void>;
}

/** An entry to make. */
export interface NewEntry {
  /** Unique for ever; letters, digits and `-`. */
  readonly id: string;
  readonly mode: Mode;
  readonly value: string;
}

/** Where an entry stands. */
export interface Place {
  /** Names its node. */
  readonly path: string;
  /** Grows in the order of the entries of a line, through restarts of the servers. */
  readonly token: bigint;
}

/** What an entry sees of its line. */
export interface Standing {
  readonly place: Place;
  /** The last one that must be gone before the entry has the lock; undefined: it has the lock. */
  readonly ahead: string | undefined;
  readonly at: Position;
}

/** An entry of anybody, of other software too. */
export interface LineEntry extends Place {
  /** Names it where its value does not. */
  readonly id: string;
  readonly mode: Mode;
  readonly value: string;
}

/** The groups of a namespace. A group is a node that stays; a member of it is a node of its session. */
export interface Groups {
  list(): Promise<string[]>;
  /** Makes a group; `by` tells it from others of the same id. False: there is one. */
  create(id: string, by: string): Promise<boolean>;
  /** Deletes the group if it is still the one that was read, and nobody has joined since. */
  delete(id: string, seen: GroupView): Promise<boolean>;
  /** The group as it is, with all members or one; undefined: there is none. Linearizable. */
  read(id: string, member?: string): Promise<GroupView | undefined>;
  /**
   * Makes a member that lives with this session; where one was seen it is replaced, also one of another session.
   * False: there is no group, or another member than the one that was seen.
   */
  put(id: string, member: string, value: string, seen: Seen | undefined): Promise<boolean>;
  /** Replaces the value of a member, which goes on living with its session. False: it is another one, or gone. */
  amend(id: string, member: string, value: string, seen: Seen): Promise<boolean>;
  /** Removes a member. False: it is another one, or gone. */
  remove(id: string, member: string, seen: Seen): Promise<boolean>;
  /** Names the node of a member. */
  path(id: string, member: string): string;
  /** Resolves when the group or anything of a member has changed after `at`, or may have; rejects like a line's. */
  changed(id: string, at: Position, signal: AbortSignal): Promise<void>;
}

/** A group as it was read. */
export interface GroupView {
  readonly by: string;
  readonly version: string;
  readonly members: ReadonlyMap<string, Seen>;
  readonly at: Position;
}

/** A member's node as it was read. */
export interface Seen {
  readonly value: string;
  /** Changes with every change of the node, also when it is made anew. */
  readonly version: string;
}
