import type { Partitioner, PartitionOptions } from "./partition.ts";

/** How to join a group. */
export interface JoinOptions {
  /** Creates the group if it does not exist. */
  create?: boolean;
  /** Takes over the member id from another coordinator, whose membership's signal fires. */
  replace?: boolean;
  /** Gives the call up: it rejects with the signal's reason, and a join that was made is undone. */
  signal?: AbortSignal;
}

/** A member of a group. */
export interface Member<C> {
  /** The member id of the coordinator that joined. */
  readonly id: string;
  /** As it joined with them, or updated them since. */
  readonly capabilities: C;
  /** When it joined. */
  readonly joinedAt: Date;
  /** When it joined, or last updated its capabilities. */
  readonly updatedAt: Date;
}

/** What happened in a group. */
export type GroupEvent<C> =
  | { readonly type: "joined" | "left" | "updated"; readonly member: Member<C> }
  | { readonly type: "deleted" };

/**
 * A group of members, each with its capabilities: any JSON value, given back as it was given.
 *
 * The calls of one coordinator on one group take effect in the order in which they were made, awaited or not.
 * All calls but `create()` and `join()` with `create` throw `GroupNotCreatedError` for a group that does not exist.
 *
 * @example
 * ```ts
 * import { getCoordinator } from "@tooz/coord";
 * import { zake } from "@tooz/coord/zake";
 *
 * await using coord = await getCoordinator(zake(), { memberId: "worker-1" });
 * const workers = coord.group<{ cores: number }>("workers");
 * await using membership = await workers.join({ cores: 8 }, { create: true });
 * const members = await workers.members();
 * console.assert(members.get("worker-1")?.capabilities.cores === 8 && !membership.signal.aborted);
 * ```
 */
export interface Group<C = unknown> {
  /** As given to `coord.group()`. */
  readonly id: string;
  /**
   * Creates the group, empty.
   * @throws {GroupAlreadyExistError}
   */
  create(): Promise<void>;
  /**
   * Deletes the group, which must be empty.
   * @throws {GroupNotEmptyError}
   */
  delete(): Promise<void>;
  /**
   * Makes this coordinator a member, alive as long as its session.
   * @param capabilities any JSON value; absent: `{}`
   * @throws {MemberAlreadyExistError} when a live member has this id, unless `replace`
   * @throws {SerializationError} when JSON would change the capabilities
   */
  join(capabilities?: C, options?: JoinOptions): Promise<Membership<C>>;
  /**
   * Removes the member with this coordinator's member id, whoever joined it.
   * @throws {MemberNotJoinedError}
   */
  leave(): Promise<void>;
  /**
   * Replaces the capabilities of the member with this coordinator's member id.
   * @throws {MemberNotJoinedError}
   */
  update(capabilities: C): Promise<void>;
  /** All live members by id. */
  members(): Promise<Map<string, Member<C>>>;
  /**
   * One live member.
   * @throws {MemberNotJoinedError}
   */
  member(id: string): Promise<Member<C>>;
  /** Watches the group; resolves once established, with the snapshot that the events start from. */
  watch(options?: { signal?: AbortSignal }): Promise<GroupWatch<C>>;
  /** Joins the group, creating it if needed, and shares keys out among its members. */
  partition(options?: PartitionOptions<C>): Promise<Partitioner>;
}

/** A membership of this coordinator. Disposing of it leaves the group. */
export interface Membership<C> extends AsyncDisposable {
  /** The group's id. */
  readonly group: string;
  /** Fires when the membership is lost, replaced or evicted; never on a normal leave. */
  readonly signal: AbortSignal;
  /**
   * Replaces the capabilities.
   * @throws {MemberNotJoinedError} when the membership is over
   */
  update(capabilities: C): Promise<void>;
  /**
   * Leaves the group; never removes a successor of the same id.
   * @returns false: was already gone
   */
  leave(): Promise<boolean>;
}

/**
 * The changes of a group, as one iterator. It converges: events of one member that nobody has read yet become one,
 * and a slow reader blocks nobody. It survives reconnects, and ends without throwing.
 */
export interface GroupWatch<C> extends AsyncIterable<GroupEvent<C>>, AsyncDisposable {
  /** The view after the last event delivered. */
  readonly members: ReadonlyMap<string, Member<C>>;
  /** False while disconnected: the view may be old. */
  readonly fresh: boolean;
}
