/**
 * The in-memory backend, for tests: what a coordination server would do, in one process, with its clock, its
 * randomness and its faults in the test's hands. It is also the reference implementation of the drivers' contract.
 *
 * @module
 */
import type { Characteristic } from "../characteristics.ts";
import { ConnectionError } from "../core/errors.ts";
import type { Backend, Clock, Opener, OpenOptions, Session } from "../driver.ts";
import { systemClock } from "../internal/clock.ts";
import { parseAddress, readOptions } from "../internal/url.ts";
import { Link } from "./zake/link.ts";
import { seeded } from "./zake/random.ts";
import { ZakeSession } from "./zake/session.ts";
import { World } from "./zake/world.ts";

export type { Characteristic } from "../characteristics.ts";
export type { Backend, Clock } from "../driver.ts";
export { VirtualClock } from "./zake/virtual_clock.ts";

/** How to make an in-memory backend. */
export interface ZakeOptions<C extends Clock = Clock> {
  /** Where core and the backend take their time from: a `VirtualClock`, say; default the machine's. */
  clock?: C;
  /** Delays every message by up to 5 ms, the same way for the same seed; default no delay. */
  seed?: number;
}

/** An in-memory backend, with its faults. */
export interface ZakeBackend<C extends Clock = Clock> extends Backend {
  /** Where core and the backend take their time from: what was given. */
  readonly clock: C;
  /**
   * Ends the sessions of a member, as if they had not been renewed in time.
   * @throws {RangeError} when the member has none
   */
  expire(memberId: string): void;
  /** Cuts a member off: its calls and its news are held back, and its sessions expire after their ttl. */
  partition(memberId: string): void;
  /** Ends the partition of a member, or of all: what was held back goes through. */
  heal(memberId?: string): void;
}

const CHARACTERISTICS: ReadonlySet<Characteristic> = new Set([
  "DISTRIBUTED_ACROSS_THREADS",
  "FAIR",
  "PUSHED_LOCKS",
  "PUSHED_WATCHES",
  "LOSS_BEFORE_REGRANT",
]);

/** What backends of one name share. */
interface Shared {
  readonly world: World;
  /** The connections of each member that is not closed. */
  readonly links: Map<string, Set<Link>>;
  /** Members that are cut off. */
  readonly cut: Set<string>;
}

const named = new Map<string, Shared>();

/**
 * Makes an in-memory backend. Those of one name share one world, for the life of the process; without a name it is a
 * world of its own.
 *
 * @param name a name, or a URL such as `zake://name?seed=7`
 * @returns a backend for `getCoordinator`, with its faults
 * @throws {TypeError} when the name is none, or taken by a world with another clock
 * @example
 * ```ts
 * import { getCoordinator } from "@tooz/coord";
 * import { zake } from "@tooz/coord/zake";
 *
 * const backend = zake();
 * await using one = await getCoordinator(backend, { memberId: "one" });
 * const lease = await one.lock("job").acquire();
 * backend.expire("one");
 * console.assert(lease.signal.aborted);
 * ```
 */
export function zake<C extends Clock = Clock>(
  name?: string | URL,
  options: ZakeOptions<C> = {},
): ZakeBackend<C> {
  const { id, clock, seed, defaults } = read(name, options);
  const shared = (id === undefined ? undefined : named.get(id)) ?? create(clock ?? systemClock, seed);
  if (clock && shared.world.clock !== clock) {
    throw new TypeError(
      `Cannot use zake world ${JSON.stringify(id)} with this clock: it was made with another`,
    );
  }
  if (id !== undefined) named.set(id, shared);
  const opener: Opener & ZakeBackend<C> = {
    driver: "zake",
    characteristics: CHARACTERISTICS,
    clock: shared.world.clock as C, // The very clock that was given, as has been checked, or any where none was.
    defaults,
    open: (open) => connect(shared, open),
    expire: (memberId) => expire(shared, memberId),
    partition: (memberId) => {
      shared.cut.add(memberId);
      for (const link of shared.links.get(memberId) ?? []) link.cut();
    },
    heal: (memberId) => {
      for (const healed of memberId === undefined ? [...shared.cut] : [memberId]) {
        shared.cut.delete(healed);
        for (const link of shared.links.get(healed) ?? []) link.heal();
      }
    },
  };
  return opener;
}

function read(name: string | URL | undefined, given: ZakeOptions) {
  if (name !== undefined && typeof name !== "string" && !(name instanceof URL)) {
    throw new TypeError("Cannot use the name of a zake world: want a string or a URL, and options behind it");
  }
  const isUrl = name !== undefined && /^zake:/i.test(String(name));
  const address = isUrl ? parseAddress(name) : undefined;
  const { options, defaults } = readOptions<ZakeOptions>("zake", address?.query ?? new Map(), given, {
    clock: () => {
      throw new TypeError('Cannot use option "clock" in a URL: give it in code');
    },
    seed: (value, option) => number(value, option),
  });
  const host = address ? address.hosts.map(({ host }) => host).join(",") + address.path : name;
  return { id: host === undefined || host === "" ? undefined : String(host), defaults, ...options };
}

function number(value: string, option: string): number {
  if (!/^\d+$/.test(value)) {
    throw new RangeError(`Cannot use option "${option}": want a whole number, got "${value}"`);
  }
  return Number(value);
}

function create(clock: Clock, seed: number | undefined): Shared {
  return {
    world: new World(clock, seed === undefined ? undefined : seeded(seed)),
    links: new Map(),
    cut: new Set(),
  };
}

// deno-lint-ignore require-await -- what it throws must be a rejection
async function connect({ world, links, cut }: Shared, options: OpenOptions): Promise<Session> {
  const { memberId, timeout, note } = options;
  options.signal.throwIfAborted();
  if (cut.has(memberId)) {
    throw new ConnectionError(`Cannot open a session: member "${memberId}" is partitioned`, {
      driver: "zake",
    });
  }
  const own = links.get(memberId) ?? new Set();
  links.set(memberId, own);
  const link = new Link({
    clock: world.clock,
    random: world.random,
    timeout,
    note,
    closed: () => {
      own.delete(link);
      if (own.size === 0 && links.get(memberId) === own) links.delete(memberId);
      if (links.size === 0) world.rest();
    },
  });
  own.add(link);
  const session = new ZakeSession(world, link, options);
  world.admit(session);
  return session;
}

function expire({ world }: Shared, memberId: string): void {
  const residents = world.residentsOf(memberId);
  if (residents.length === 0) throw new RangeError(`Cannot expire member "${memberId}": it has no session`);
  for (const resident of residents) world.dismiss(resident);
}
