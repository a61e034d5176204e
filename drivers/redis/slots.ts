import type { Server } from "./endpoint.ts";

/** How many slots a cluster has. */
const SLOTS = 16_384;

/** The slot of a key: that of its hash tag, where it has one. */
export function slotOf(key: string): number {
  let crc = 0;
  for (const byte of new TextEncoder().encode(/^{([^}]+)}/.exec(key)?.[1] ?? key)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1) & 0xffff;
  }
  return crc % SLOTS;
}

/** Who serves what. */
export interface SlotMap {
  /** By slot; a slot that nobody serves is a hole. */
  readonly owners: readonly (Server | undefined)[];
  /** All nodes, replicas too. */
  readonly servers: readonly Server[];
}

/** Understands the answer of `CLUSTER SLOTS`; a node that does not know its own host is where it was asked. */
export function readSlots(answer: unknown, asked: Server): SlotMap {
  const owners = new Array<Server | undefined>(SLOTS);
  const servers: Server[] = [];
  for (const [first, last, ...nodes] of lists(answer)) {
    const found = lists(nodes).map(([host, port]) => ({
      host: String(host || asked.host),
      port: Number(port),
    }));
    servers.push(...found);
    owners.fill(found[0], Number(first), Number(last) + 1);
  }
  return { owners, servers };
}

function lists(value: unknown): unknown[][] {
  return Array.isArray(value) ? value.filter((part) => Array.isArray(part)) : [];
}
