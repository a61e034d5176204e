/**
 * What PostgreSQL and MySQL have in common: locks that belong to a connection and go with it, and that can be waited
 * for in the server. Their drivers implement this for one session each, in their own SQL. The way from a try to a
 * grant, the connections that wait, the beats, and the watch over the other sessions stand once, in this folder.
 *
 * A session is one connection, S, which never waits in the server: it tries, it holds every lock, and it holds the
 * session's presence, a lock of its own. When it breaks, the session is over. Whatever must wait in the server does so
 * on another connection, a {@linkcode Side}, whose end loses nothing but the wait.
 *
 * A lock is two locks of the server: Q, the turnstile, and H, the hold. Who tries fails if somebody has Q. Who waits has
 * Q on a side while it waits for H, gives H back as soon as it has it, and keeps Q until S has taken H.
 *
 * Rules for every request:
 * - On S there is no more than one at a time, and it has no deadline of its own: who asks has one, and knows what to do
 *   about an answer that comes late. What a side is asked settles within `StoreOptions.limit`, its waits apart; where no
 *   answer came by then, the side has destroyed itself.
 * - What lost its connection rejects with {@linkcode Interrupted}; where that was S, `StoreOptions.gone` is called.
 * - What the server has no room for rejects with {@linkcode Full}, which becomes a `CapacityError`.
 * - Any other error is the server's refusal, and final. Credentials never stand in an error.
 */
import type { Clock, Entry, Mode, Target } from "../../driver.ts";
import type { Groups } from "../tree/store.ts";
import { Interrupted } from "../tree/store.ts";

export { type Groups, Interrupted };

/** The server has ended a wait because somebody asked it to; the connection goes on. */
export class Cancelled extends Error {}

/** The server has no room for what was asked: it says which limit that is, and what raises it. */
export class Full extends Error {}

/** What a store is opened with. */
export interface StoreOptions {
  readonly clock: Clock;
  readonly namespace: string;
  readonly memberId: string;
  readonly incarnation: string;
  /** After so many ms of silence, the server is to give the session's connections up. */
  readonly ttl: number;
  /** The deadline for opening a connection, and for what is asked of a side, in ms. */
  readonly limit: number;
  /** Cancels the opening only. */
  readonly signal: AbortSignal;
  /** Who waits for news; a store that is told something rings it. */
  readonly bells: Bells;
  /** Tells, once, that S broke, and with it the session. */
  gone(cause: unknown): void;
}

/** Where a store says what has changed. */
export interface Bells {
  /** So many rings there were: what is read from now on is as new as that. */
  readonly count: number;
  /** Something of this topic may have changed; without one, anything. */
  ring(topic?: string): void;
  /**
   * Resolves when the topic was rung, or may have been, since there were `at` rings; rejects with the signal's reason.
   * What a store answers to `Groups.changed`; a view's `at` is `String(count)` from before it was asked for.
   */
  changed(topic: string, at: number, signal: AbortSignal): Promise<void>;
}

/** One session in a database. */
export interface Store {
  /** Where it is, for errors: `10.0.0.1:5432`. */
  readonly location: string;
  /** The database's time, in ms since 1970, as far as it is known here. */
  wall(): number;
  /** Asks on S, in one round trip, which of these holds stand: were not broken. */
  standing(holds: readonly Place[]): Promise<ReadonlySet<Place>>;
  /** Those of the members, by `Groups.path`, that this session still is; asked on S, in one round trip. */
  owned(paths: readonly string[]): Promise<ReadonlySet<string>>;
  /** A lock or an election; asks nothing yet. */
  lock(target: Target): Lock;
  readonly groups: Groups;
  /** Opens one connection more. */
  side(): Promise<Side>;
  /** What guards: a connection more, or one that there is already. */
  watchman(): Promise<Pick<Side, "guard" | "destroy">>;
  /** From now on the other sessions are to notice, and tell, when this one ends without a word. Asked on S, once. */
  appear(): Promise<void>;
  /** Ends the session in good order: gives back and removes all that is its. Asked on S. */
  end(): Promise<void>;
  /** Disconnects S at once and for good: whatever is asked rejects. Nothing of it keeps the process alive. */
  destroy(): void;
}

/** A lock or an election. Everything here is asked on S. */
export interface Lock {
  readonly target: Target;
  /**
   * Takes H, with a token that is greater than all before, if it is free, and Q too unless `isHead`: then a side of
   * this session has it. A lock that S holds already is not in its way: who calls has seen to that.
   * @returns undefined: it is busy, or somebody waits for it
   */
  take(taking: Taking): Promise<Place | undefined>;
  /** Gives a hold back; false: it was gone, or had been broken. Also for a broken one, which still has its old H. */
  give(place: Place): Promise<boolean>;
  /** Replaces the value that others read; false: the hold was broken. */
  amend(place: Place, value: string): Promise<boolean>;
  /** Holders, then waiters in order. */
  list(): Promise<Entry[]>;
  /**
   * Resolves when the holder of an election, or its value, has changed since there were `at` rings, or may have; rejects
   * with the signal's reason. Not asked on S.
   */
  changed(at: number, signal: AbortSignal): Promise<void>;
  /**
   * Takes H away from all who hold it: they find out by `standing`, after a ring of {@linkcode HOLDS} in their sessions.
   * Who has Q goes on to wait for the new H.
   * @returns whether there was a holder
   */
  break(): Promise<boolean>;
}

/** The topic that is rung in a session, by the server's push, when a hold or a membership of it may be gone. */
export const HOLDS = "holds";

/** How a lock is taken. */
export interface Taking {
  /** Unique for ever. */
  readonly attempt: string;
  readonly mode: Mode;
  readonly value: string;
  readonly isHead: boolean;
}

/** A hold on S. Drivers add what they need to find it again. */
export interface Place {
  readonly token: bigint;
  readonly mode: Mode;
  readonly lock: Lock;
}

/** A connection that waits in the server, for one thing at a time. */
export interface Side {
  /** Whether it can be used. */
  readonly isOpen: boolean;
  /**
   * Waits for Q, then for H, gives H back and keeps Q. Called again it may have Q already. There may be several
   * requests, so that a wait is no single statement for ever.
   * @throws {Cancelled} when the wait was ended by `cancel()`, or from elsewhere; Q may be held
   */
  wait(lock: Lock, taking: Taking): Promise<void>;
  /**
   * Waits until the session that comes after this one has ended, and tells everybody who has to know; also returns when
   * there may be another one to wait for.
   */
  guard(): Promise<void>;
  /** Asks the server to end what this connection waits for; the wait settles then, one way or the other. */
  cancel(): Promise<void>;
  /** Gives back all that this connection holds, whether it knows of it or not. */
  free(): Promise<void>;
  /** Disconnects at once and for good; a wait rejects with `Interrupted`. */
  destroy(): void;
}
