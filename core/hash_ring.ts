import { createHash } from "node:crypto";
import type { PlacementOptions } from "./api/partition.ts";

const DEFAULT_PARTITIONS = 32;

/** How to make a ring. */
export interface HashRingOptions {
  /** Points on the ring for each unit of weight; default 32. */
  partitions?: number;
  /** A hash that `node:crypto` knows; default `"md5"`. */
  hash?: string;
}

/**
 * A consistent hash ring that places keys exactly as OpenStack tooz does, so that Python and TypeScript members of one
 * group agree: each node's hash is fed with its name once more for every point.
 *
 * @example
 * ```ts
 * import { HashRing } from "@tooz/coord";
 *
 * const ring = new HashRing(["a", "b", "c"]);
 * console.assert(ring.nodesFor("object-0", { replicas: 2 }).size === 2);
 * ```
 */
export class HashRing {
  readonly #weights = new Map<string, number>();
  readonly #partitions: number;
  readonly #hash: string;
  #points: { at: bigint; node: string }[] = [];
  #sorted = true;

  /**
   * Makes a ring.
   * @param nodes names, each of weight 1
   * @throws {RangeError} when `partitions` is not a whole number from 1, or `hash` is not known
   */
  constructor(nodes: Iterable<string> = [], options: HashRingOptions = {}) {
    this.#partitions = whole("partitions", options.partitions ?? DEFAULT_PARTITIONS);
    this.#hash = known(options.hash ?? "md5");
    for (const node of new Set(nodes)) this.#place(node, 1);
  }

  /** Weights by node. */
  get nodes(): ReadonlyMap<string, number> {
    return this.#weights;
  }

  /**
   * Adds a node, or changes its weight.
   * @throws {RangeError} when `weight` is not a whole number from 1
   */
  addNode(node: string, weight = 1): void {
    whole("weight", weight);
    if (this.#weights.has(node)) this.removeNode(node);
    this.#place(node, weight);
  }

  /**
   * Removes a node.
   * @throws {RangeError} when there is no such node
   */
  removeNode(node: string): void {
    if (!this.#weights.delete(node)) {
      throw new RangeError(`Cannot remove node "${node}": it is not on the ring`);
    }
    this.#points = this.#points.filter((point) => point.node !== node);
  }

  /** The nodes that a key is for: the first ones from its place on; fewer than `replicas` where there are fewer. */
  nodesFor(key: string | Uint8Array, options: PlacementOptions = {}): Set<string> {
    const ignored = new Set(options.ignore);
    const wanted = options.replicas ?? 1;
    if (!Number.isSafeInteger(wanted) || wanted < 0) {
      throw new RangeError(`Cannot place a key on ${wanted} nodes: want a whole number from 0`);
    }
    const candidates = [...this.#weights.keys()].filter((node) => !ignored.has(node)).length;
    const found = new Set<string>();
    for (let i = this.#find(key); found.size < Math.min(wanted, candidates); i++) {
      const node = this.#points[i % this.#points.length]?.node;
      if (node !== undefined && !ignored.has(node)) found.add(node);
    }
    return found;
  }

  #place(node: string, weight: number): void {
    const hash = createHash(this.#hash).update(node);
    for (let i = 0; i < this.#partitions * weight; i++) {
      hash.update(node);
      this.#points.push({ at: toNumber(hash.copy().digest("hex")), node });
    }
    this.#weights.set(node, weight);
    this.#sorted = false;
  }

  /** Once for any number of added nodes: at the next question. */
  #sort(): void {
    if (this.#sorted) return;
    this.#sorted = true;
    this.#points.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  }

  /** The index of the first point beyond the key. */
  #find(key: string | Uint8Array): number {
    this.#sort();
    const at = toNumber(createHash(this.#hash).update(key).digest("hex"));
    let [low, high] = [0, this.#points.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const point = this.#points[middle];
      if (point !== undefined && point.at <= at) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function toNumber(hex: string): bigint {
  return BigInt(`0x${hex}`);
}

function whole(what: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new RangeError(`Cannot use ${what} ${value}: want a whole number from 1`);
  }
  return value;
}

/** An unknown hash is an error here, not at the first key. */
function known(hash: string): string {
  try {
    createHash(hash);
    return hash;
  } catch (cause) {
    throw new RangeError(`Cannot use hash "${hash}": node:crypto has none of that name`, { cause });
  }
}
