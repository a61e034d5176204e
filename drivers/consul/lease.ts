import type { Link } from "./link.ts";
import { field } from "./pair.ts";

/** A session of the server, and after how many ms without renewal it may end it. */
export interface Lease {
  readonly id: string;
  readonly ttl: number;
}

/** What a lease is asked for with. */
export interface LeaseOptions {
  readonly memberId: string;
  /** How long a dead member may linger, in ms. */
  readonly ttl: number;
  /** The deadline of one request, in ms. */
  readonly limit: number;
}

/** The longest that servers grant, in ms. */
const LONGEST = 24 * 60 * 60 * 1000;

/**
 * Opens a session. A server ends one after twice the time that it was asked for, so half is asked for.
 * @throws {RangeError} when the ttl is shorter than the server's minimum
 */
export async function openLease(link: Link, options: LeaseOptions): Promise<Lease> {
  const half = Math.min(Math.floor(options.ttl / 2), LONGEST);
  try {
    return { id: await create(link, half, options), ttl: half };
  } catch (error) {
    const minimum = minimumOf(error);
    if (minimum === undefined) throw error;
    if (options.ttl < minimum) throw new RangeError(tooShort(options.ttl, minimum), { cause: error });
    return { id: await create(link, minimum, options), ttl: minimum };
  }
}

async function create(link: Link, ttl: number, { memberId, limit }: LeaseOptions): Promise<string> {
  const body = {
    Name: memberId,
    TTL: `${ttl}ms`,
    Behavior: "delete",
    // The server's own default is 15 s, in which a member that comes back could not join under its name.
    LockDelay: "0s",
    // Only the ttl ends it, not the health of the agent that it was opened through; older servers know `Checks`.
    NodeChecks: [],
    Checks: [],
  };
  const answer = await link.ask({ method: "PUT", path: "/session/create", body }, limit);
  const id = field(answer.body, "ID");
  if (typeof id !== "string") throw new Error("the server did not name the session");
  return id;
}

const UNITS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

/** The minimum in `Invalid Session TTL '750000000', must be between [10s=24h0m0s]`, in ms. */
function minimumOf(error: unknown): number | undefined {
  const text = error instanceof Error ? error.message : "";
  const [, duration] = /Session TTL.* between \[([\dhms.]+)=/.exec(text) ?? [];
  if (duration === undefined) return undefined;
  let sum = 0;
  for (const [, amount, unit = ""] of duration.matchAll(/([\d.]+)(h|ms|m|s)/g)) {
    sum += Number(amount) * (UNITS[unit] ?? 0);
  }
  return sum > 0 ? Math.ceil(sum) : undefined;
}

function tooShort(ttl: number, minimum: number): string {
  return `Cannot use option "ttl": want ${minimum} ms or more on this server (session_ttl_min), got ${ttl}`;
}
