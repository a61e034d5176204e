import type { Group, GroupWatch, Member, Membership } from "./api/group.ts";
import type { Partitioner, PartitionOptions, PlacementOptions } from "./api/partition.ts";
import { encode } from "./capabilities.ts";
import { Feed } from "./feed.ts";
import { HashRing } from "./hash_ring.ts";
import type { Host } from "./host.ts";

/** A member of more weight would have more points on the ring than every member can place in good time. */
const MAX_WEIGHT = 1_000;

/** Joins the group with a weight, and keeps a ring of its members. */
export async function partition<C>(
  group: Group<C>,
  host: Pick<Host, "memberId" | "driver">,
  options: PartitionOptions<C>,
): Promise<Partitioner> {
  const { weight = 1, partitions, capabilities = {}, signal } = options;
  if (!Number.isSafeInteger(weight) || weight < 1 || weight > MAX_WEIGHT) {
    throw new RangeError(`Cannot use weight ${weight}: want a whole number from 1 to ${MAX_WEIGHT}`);
  }
  if (typeof capabilities !== "object" || capabilities === null || Array.isArray(capabilities)) {
    throw new TypeError(
      "Cannot use capabilities of a partitioned group: want an object, which the weight goes into",
    );
  }
  encode(capabilities, host.driver); // Whatever join() would refuse is lost on the way into a new object.
  if (Object.hasOwn(capabilities, "weight")) {
    throw new TypeError(
      'Cannot use capabilities of a partitioned group: "weight" in them is for option "weight"',
    );
  }
  const ring = new HashRing([], partitions === undefined ? {} : { partitions });
  // The members of a partitioned group carry their weight in their capabilities, as in OpenStack tooz.
  const data = { ...capabilities, weight } as C;
  const membership = await group.join(data, { create: true, ...(signal ? { signal } : {}) });
  try {
    const watch = await group.watch();
    if (!signal?.aborted) return new RingPartitioner(host.memberId, membership, watch, ring);
    await watch[Symbol.asyncDispose]();
    throw signal.reason;
  } catch (error) {
    await membership[Symbol.asyncDispose]();
    throw error;
  }
}

class RingPartitioner<C> implements Partitioner {
  readonly #memberId: string;
  readonly #membership: Membership<C>;
  readonly #watch: GroupWatch<C>;
  readonly #ring: HashRing;
  readonly #changes = new Feed<ReadonlySet<string>>(1);
  readonly #following: Promise<void>;

  constructor(memberId: string, membership: Membership<C>, watch: GroupWatch<C>, ring: HashRing) {
    this.#memberId = memberId;
    this.#membership = membership;
    this.#watch = watch;
    this.#ring = ring;
    for (const member of watch.members.values()) this.#place(member);
    this.#following = this.#follow();
  }

  get signal(): AbortSignal {
    return this.#membership.signal;
  }

  get members(): ReadonlySet<string> {
    return new Set(this.#ring.nodes.keys());
  }

  membersFor(key: string | Uint8Array, options: PlacementOptions = {}): Set<string> {
    return this.#ring.nodesFor(key, options);
  }

  isMine(key: string | Uint8Array): boolean {
    return this.membersFor(key).has(this.#memberId);
  }

  changes(): AsyncIterable<ReadonlySet<string>> {
    return this.#changes.subscribe();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#watch[Symbol.asyncDispose]();
    await this.#following;
    await this.#membership[Symbol.asyncDispose]();
  }

  async #follow(): Promise<void> {
    for await (const event of this.#watch) {
      if (event.type === "deleted") break;
      if (event.type !== "left") this.#place(event.member);
      else if (this.#ring.nodes.has(event.member.id)) this.#ring.removeNode(event.member.id);
      this.#changes.publish(this.members);
    }
    this.#changes.close();
  }

  #place({ id, capabilities }: Member<C>): void {
    // Members that somebody joined by hand may carry anything.
    const weight: unknown = (capabilities as { weight?: unknown } | null)?.weight;
    const isWeight = typeof weight === "number" && Number.isSafeInteger(weight) && weight >= 1;
    const sound = isWeight ? Math.min(weight, MAX_WEIGHT) : 1;
    if (this.#ring.nodes.get(id) !== sound) this.#ring.addNode(id, sound);
  }
}
