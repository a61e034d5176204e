/** How to take part in a partitioned group. */
export interface PartitionOptions<C = unknown> {
  /** This member's share relative to others: a whole number from 1; default 1. */
  weight?: number;
  /** Points on the ring for each unit of weight, alike in all members; default 32. */
  partitions?: number;
  /** Capabilities beside the weight; an object. */
  capabilities?: C;
  /** Gives the call up. */
  signal?: AbortSignal;
}

/** How many members a key is for. */
export interface PlacementOptions {
  /** How many members; default 1. */
  replicas?: number;
  /** Members that are passed over. */
  ignore?: Iterable<string>;
}

/**
 * Shares keys out among the members of a group, alike in all of them, and with OpenStack tooz. Disposing of it leaves
 * the group.
 *
 * @example
 * ```ts
 * import { getCoordinator } from "@tooz/coord";
 * import { zake } from "@tooz/coord/zake";
 *
 * await using coord = await getCoordinator(zake());
 * await using partitioner = await coord.group("shards").partition();
 * console.assert(partitioner.isMine("user-17"));
 * ```
 */
export interface Partitioner extends AsyncDisposable {
  /** Fires when the membership is lost. */
  readonly signal: AbortSignal;
  /** The members that keys are shared out among. */
  readonly members: ReadonlySet<string>;
  /** The members that a key is for. */
  membersFor(key: string | Uint8Array, options?: PlacementOptions): Set<string>;
  /** Whether a key is for this member. A hint while membership changes: guard exclusive work with a lock. */
  isMine(key: string | Uint8Array): boolean;
  /** The members, after each change. */
  changes(): AsyncIterable<ReadonlySet<string>>;
}
