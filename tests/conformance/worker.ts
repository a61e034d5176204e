// The process that Stage.worker() starts: one coordinator at a time, driven by calls.
import process from "node:process";
import { setTimeout as pause } from "node:timers/promises";
import type { Coordinator, CoordinatorOptions } from "../../core/api/coordinator.ts";
import type { CampaignOptions, Leadership } from "../../core/api/election.ts";
import type { JoinOptions, Membership } from "../../core/api/group.ts";
import type { AcquireOptions, Lease, TryOptions } from "../../core/api/lock.ts";
import type { Partitioner, PartitionOptions, PlacementOptions } from "../../core/api/partition.ts";
import { ConnectionError, CoordError, getCoordinator } from "../../mod.ts";
import { serve } from "../processes/serve.ts";
import { describeError } from "../processes/wire.ts";
import type { Contest, LeaseFacts, LossFacts, Turn } from "./remote.ts";

// It ends when its input does: one that ends for want of anything to wait for has lost something, and says so.
process.on("beforeExit", () => process.exit(99));
let coord: Coordinator;
let close: () => Promise<void> = () => Promise.resolve();
const leases = new Map<number, Lease>();
const memberships = new Map<number, Membership<unknown>>();
let partitioner: Partitioner | undefined;
let next = 1;
let struggling = false;

/** A short ttl leaves half a second for connecting, while a busy machine may still be starting us. */
async function open(url: string, options: CoordinatorOptions): Promise<void> {
  for (let tries = 1;; tries++) {
    try {
      coord = await getCoordinator(url, options);
      close = () => coord.close();
      return;
    } catch (error) {
      if (tries === 10 || !(error instanceof ConnectionError)) throw error;
    }
  }
}

/** Back to where no coordinator was ever opened. */
async function end(): Promise<void> {
  struggling = false;
  await close();
  close = () => Promise.resolve();
  partitioner = undefined;
  leases.clear();
  memberships.clear();
}

function keep(lease: Lease): LeaseFacts {
  const id = next++;
  leases.set(id, lease);
  return { id, token: lease.token, at: Date.now() };
}

function find<T>(map: Map<number, T>, id: number): T {
  const found = map.get(id);
  if (found) return found;
  throw new RangeError(`Cannot find lease or membership ${id}: there is none`);
}

function loss(signal: AbortSignal): Promise<LossFacts> {
  const facts = (): LossFacts => ({ ...describeError(signal.reason), at: Date.now() });
  if (signal.aborted) return Promise.resolve(facts());
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(facts()), { once: true }));
}

function busy(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

/** What JSON keeps: it has no Infinity. */
function finite(ms: number): number | "Infinity" {
  return ms === Infinity ? "Infinity" : ms;
}

async function contend(name: string, { rounds, hold = 0, mode = "exclusive" }: Contest): Promise<Turn[]> {
  const turns: Turn[] = [];
  for (let i = 0; i < rounds; i++) {
    const lease = await coord.lock(name).acquire({ mode });
    const from = Date.now();
    if (hold > 0) await pause(hold);
    turns.push({ member: coord.memberId, token: lease.token, from, to: Date.now() });
    await lease.release();
  }
  return turns;
}

/** Contends until it is told to stop, whatever happens; a turn ends with its release, or earlier with its signal. */
async function struggle(name: string, hold: number): Promise<Turn[]> {
  const turns: Turn[] = [];
  struggling = true;
  while (struggling) {
    try {
      const lease = await coord.lock(name).acquire();
      const from = Date.now();
      let lost: number | undefined;
      lease.signal.addEventListener("abort", () => lost = Date.now(), { once: true });
      await pause(hold);
      turns.push({ member: coord.memberId, token: lease.token, from, to: lost ?? Date.now() });
      await lease.release();
    } catch (error) {
      if (!(error instanceof CoordError)) throw error;
      await pause(20);
    }
  }
  return turns;
}

await serve({
  methods: {
    open,
    end,
    memberId: () => coord.memberId,
    state: () => coord.state,
    acquire: async (name: string, options: AcquireOptions) => keep(await coord.lock(name).acquire(options)),
    tryAcquire: async (name: string, options: TryOptions) => {
      const lease = await coord.lock(name).tryAcquire(options);
      return lease ? keep(lease) : null;
    },
    release: (id: number) => find(leases, id).release(),
    isHeld: (id: number) => find(leases, id).isHeld(),
    remaining: (id: number) => finite(find(leases, id).remaining()),
    isLost: (id: number) => find(leases, id).signal.aborted,
    lost: (id: number) => loss(find(leases, id).signal),
    stall: (ms: number) => busy(ms),
    stallAndRead: (id: number, ms: number) => {
      const lease = find(leases, id);
      busy(ms);
      return lease.signal.aborted;
    },
    holders: (name: string) => coord.lock(name).holders(),
    break: (name: string) => coord.lock(name).break(),
    contend,
    struggle,
    relent: () => {
      struggling = false;
    },
    campaign: async (id: string, options: CampaignOptions) =>
      keep(await coord.election(id).campaign(options)),
    proclaim: (id: number, value: string) => (find(leases, id) as Leadership).proclaim(value),
    leader: async (id: string) => await coord.election(id).leader() ?? null,
    join: async (group: string, capabilities: unknown, options: JoinOptions) => {
      const membership = await coord.group(group).join(capabilities, options);
      const id = next++;
      memberships.set(id, membership);
      return id;
    },
    leave: (id: number) => find(memberships, id).leave(),
    update: (id: number, capabilities: unknown) => find(memberships, id).update(capabilities),
    evicted: (id: number) => loss(find(memberships, id).signal),
    partition: async (group: string, options: PartitionOptions) => {
      partitioner = await coord.group(group).partition(options);
    },
    membersFor: (keys: string[], options: PlacementOptions) =>
      keys.map((key) => [...partitioner?.membersFor(key, options) ?? []].sort()),
    members: async (group: string) => [...(await coord.group(group).members()).keys()],
    close: (grace: number) => coord.close({ grace }),
  },
  close: () => close(),
});
