/**
 * Distributed locks, group membership, leader election, watches and partitioning: one API over many backends.
 *
 * This module pulls in no driver. Import one from its own entry, or name it by a URL.
 *
 * @example
 * ```ts
 * import { getCoordinator } from "@tooz/coord";
 * import { zake } from "@tooz/coord/zake";
 *
 * await using coord = await getCoordinator(zake(), { memberId: "worker-1" });
 * const total = await coord.lock("ledger").use((lease) => 1n + lease.token);
 * console.assert(total > 1n);
 * ```
 *
 * @module
 */
import type { Coordinator, CoordinatorOptions } from "./core/api/coordinator.ts";
import { openCoordinator } from "./core/coordinator.ts";
import { resolve } from "./core/resolve.ts";
import type { Backend } from "./driver.ts";

export type { Coordinator, CoordinatorOptions, State } from "./core/api/coordinator.ts";
export type { CampaignOptions, Election, Leader, Leadership, LeaderWatch } from "./core/api/election.ts";
export type { Group, GroupEvent, GroupWatch, JoinOptions, Member, Membership } from "./core/api/group.ts";
export type { AcquireOptions, Holder, Lease, Lock, TryOptions } from "./core/api/lock.ts";
export type { Partitioner, PartitionOptions, PlacementOptions } from "./core/api/partition.ts";
export type * from "./characteristics.ts";
export type { Backend, DriverFactory, Mode } from "./driver.ts";
export * from "./core/errors.ts";
export { HashRing, type HashRingOptions } from "./core/hash_ring.ts";

/**
 * Opens a coordinator: connects, and starts its heartbeat.
 *
 * @param backend what a driver's factory returns, or a URL, whose driver is then loaded
 * @returns the coordinator, connected
 * @throws {ConnectionError} when the backend cannot be reached, or refuses
 * @throws {CapacityError} when the backend has no room for one more: no connection left, no memory
 * @throws {UnknownDriverError} when no driver is known, or can be loaded, for a URL
 * @throws {DriverChosenPoorlyError} when the backend lacks one of `options.characteristics`
 */
export async function getCoordinator(
  backend: Backend | string | URL,
  options: CoordinatorOptions = {},
): Promise<Coordinator> {
  return await openCoordinator(await resolve(backend, options.drivers), options);
}
