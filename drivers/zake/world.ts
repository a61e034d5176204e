import type { Attempt, Clock, Entry, Mode, Target } from "../../driver.ts";
import { LockBrokenError } from "../../core/errors.ts";
import { Groups } from "./groups.ts";

/** A client's session as the world keeps it. */
export interface Resident {
  readonly memberId: string;
  readonly incarnation: string;
  readonly namespace: string;
  readonly ttl: number;
  /** Tells the client that its session is over. */
  expired(): void;
}

/** A place in a lock's line, or at its head. */
interface Claim {
  readonly owner: Resident;
  readonly id: string;
  readonly mode: Mode;
  value: string;
  token: bigint | undefined;
  since: number | undefined;
  /** Tells the client; called once a grant. */
  readonly granted: (token: bigint) => void;
  readonly broken: (reason: LockBrokenError) => void;
}

/** What a client hears of its claim. */
export type ClaimEvents = Pick<Claim, "granted" | "broken">;

/**
 * The server that zake plays: sessions with a time to live, and on them locks with one line each, and groups. All of
 * it happens at once, in the order of the calls; what comes late or never is the links' affair.
 */
export class World {
  readonly clock: Clock;
  /** A seeded source of delays; undefined: nothing is delayed. */
  readonly random: (() => number) | undefined;
  readonly groups: Groups = new Groups(this);
  readonly #residents = new Map<Resident, { touched: number; cancel: () => void }>();
  readonly #lines = new Map<string, { holders: Claim[]; waiters: Claim[] }>();
  readonly #watchers = new Map<string, Set<() => void>>();
  #resting = false;
  /** Counts every change, as ZooKeeper's transaction id does; tokens come from it. */
  #changes = 0n;

  constructor(clock: Clock, random?: () => number) {
    this.clock = clock;
    this.random = random;
  }

  admit(resident: Resident): void {
    // Sessions that expired while nobody was there to see it.
    if (this.#resting) { for (const other of this.#residents.keys()) this.#arm(other); }
    this.#resting = false;
    this.#residents.set(resident, { touched: this.clock.now(), cancel: () => {} });
    this.#arm(resident);
  }

  /** Nobody is connected: no timers, until somebody is admitted. */
  rest(): void {
    this.#resting = true;
    for (const { cancel } of this.#residents.values()) cancel();
  }

  /** Renews a session; false: there is none. */
  touch(resident: Resident): boolean {
    const state = this.#residents.get(resident);
    if (state) state.touched = this.clock.now();
    return state !== undefined;
  }

  isLive(resident: Resident): boolean {
    return this.#residents.has(resident);
  }

  residentsOf(memberId: string): Resident[] {
    return [...this.#residents.keys()].filter((resident) => resident.memberId === memberId);
  }

  /** Ends a session, and everything on it. */
  dismiss(resident: Resident): void {
    const state = this.#residents.get(resident);
    if (!state) return;
    state.cancel();
    this.#residents.delete(resident);
    // The client is told before anyone can be granted what it held.
    resident.expired();
    for (const [key, line] of this.#lines) {
      line.waiters = line.waiters.filter((claim) => claim.owner !== resident);
      line.holders = line.holders.filter((claim) => claim.owner !== resident);
      this.#advance(key);
    }
    this.groups.dismiss(resident);
  }

  /** Takes a lock or a place in its line; false: neither, since the attempt does not wait. */
  claim(owner: Resident, attempt: Attempt, events: ClaimEvents): boolean {
    const key = keyOf(owner.namespace, attempt);
    const line = this.#lines.get(key) ?? { holders: [], waiters: [] };
    const free = line.waiters.length === 0 && compatible(line.holders, attempt.mode);
    if (!free && !attempt.wait) return false;
    this.#lines.set(key, line);
    const { id, mode, value } = attempt;
    line.waiters.push({ owner, id, mode, value, token: undefined, since: undefined, ...events });
    this.#advance(key);
    return true;
  }

  /** Gives up a hold or a place; false: there was none. */
  quit(owner: Resident, target: Target, id: string): boolean {
    const key = keyOf(owner.namespace, target);
    const line = this.#lines.get(key);
    const there = this.#find(key, id) !== undefined;
    if (line) {
      line.holders = line.holders.filter((claim) => claim.id !== id);
      line.waiters = line.waiters.filter((claim) => claim.id !== id);
    }
    this.#advance(key);
    return there;
  }

  /** Whether an attempt holds its lock. */
  holds(owner: Resident, target: Target, id: string): boolean {
    return this.#find(keyOf(owner.namespace, target), id)?.token !== undefined;
  }

  proclaim(owner: Resident, target: Target, id: string, value: string): boolean {
    const key = keyOf(owner.namespace, target);
    const claim = this.#find(key, id);
    if (claim?.token === undefined) return false;
    claim.value = value;
    this.tell(key);
    return true;
  }

  break(namespace: string, target: Target): boolean {
    const key = keyOf(namespace, target);
    const line = this.#lines.get(key);
    if (!line || line.holders.length === 0) return false;
    const reason = new LockBrokenError(`Cannot keep ${target.kind} "${target.name}": it was broken`, {
      driver: "zake",
    });
    for (const claim of line.holders.splice(0)) claim.broken(reason);
    this.#advance(key);
    return true;
  }

  entries(namespace: string, target: Target): Entry[] {
    const line = this.#lines.get(keyOf(namespace, target));
    return [...line?.holders ?? [], ...line?.waiters ?? []].map((
      { owner, id, mode, value, token, since },
    ) => ({
      memberId: owner.memberId,
      attempt: id,
      mode,
      value,
      ...(token === undefined ? {} : { token }),
      ...(since === undefined ? {} : { since }),
    }));
  }

  /** Calls `changed` after every change of a lock or group; the returned function ends that. */
  subscribe(key: string, changed: () => void): () => void {
    const watchers = this.#watchers.get(key) ?? new Set();
    this.#watchers.set(key, watchers.add(changed));
    return () => {
      watchers.delete(changed);
      if (watchers.size === 0) this.#watchers.delete(key);
    };
  }

  tell(key: string): void {
    for (const changed of this.#watchers.get(key) ?? []) changed();
  }

  #find(key: string, id: string): Claim | undefined {
    const line = this.#lines.get(key);
    return line?.holders.find((claim) => claim.id === id) ?? line?.waiters.find((claim) => claim.id === id);
  }

  /** Grants to the head of the line, and to all leading readers, what the holders leave free. */
  #advance(key: string): void {
    const line = this.#lines.get(key);
    if (!line) return;
    for (let head = line.waiters[0]; head && compatible(line.holders, head.mode); head = line.waiters[0]) {
      line.waiters.shift();
      line.holders.push(head);
      head.token = ++this.#changes;
      head.since = this.clock.wall();
      head.granted(head.token);
    }
    if (line.holders.length + line.waiters.length === 0) this.#lines.delete(key);
    this.tell(key);
  }

  #arm(resident: Resident): void {
    const state = this.#residents.get(resident);
    if (!state) return;
    const left = state.touched + resident.ttl - this.clock.now();
    if (left <= 0) return this.dismiss(resident);
    state.cancel = this.clock.after(left, () => this.#arm(resident));
  }
}

/** The key that a lock's watchers use. */
export function keyOf(namespace: string, target: Target): string {
  return JSON.stringify([namespace, target.kind, target.name]);
}

function compatible(holders: readonly Claim[], mode: Mode): boolean {
  return holders.every((holder) => mode === "shared" && holder.mode === "shared");
}
