import type { Lease } from "./lock.ts";

/** How to campaign. */
export interface CampaignOptions {
  /** What others need to know of the leader, such as an address; default empty. */
  value?: string;
  /** Ends the wait: the call rejects with the signal's reason. */
  signal?: AbortSignal;
  /** The longest wait in ms, finite and from 0. */
  timeout?: number;
}

/** The leader of an election. */
export interface Leader {
  /** Who leads. */
  readonly memberId: string;
  /** The fencing token of the leadership. */
  readonly token: bigint;
  /** What the leader said when campaigning, or proclaimed since. */
  readonly value: string;
}

/**
 * An election: a lock whose holder can be watched. It never meets a lock of the same name.
 *
 * @example
 * ```ts
 * import { getCoordinator } from "@tooz/coord";
 * import { zake } from "@tooz/coord/zake";
 *
 * await using coord = await getCoordinator(zake(), { memberId: "node-1" });
 * await using leadership = await coord.election("primary").campaign({ value: "10.0.0.1:80" });
 * console.assert((await coord.election("primary").leader())?.token === leadership.token);
 * ```
 */
export interface Election {
  /** As given to `coord.election()`. */
  readonly id: string;
  /**
   * Waits to be elected.
   * @throws {AcquireTimeoutError} when `timeout` runs out
   */
  campaign(options?: CampaignOptions): Promise<Leadership>;
  /** Is elected now, or not: undefined. */
  tryCampaign(options?: CampaignOptions): Promise<Leadership | undefined>;
  /**
   * Campaigns, runs `fn` as the leader, and resigns when it has settled; campaigns again after a loss, of a session
   * during the wait too, and while the backend is away, or has no room. It is over when `fn` settles as the leader, or
   * when `signal` aborts: then the leadership's signal fires, `fn` is awaited, and the call rejects with the signal's
   * reason, or with what `fn` threw.
   * @throws {CapacityError} when the backend has no room before it has led once
   */
  lead(fn: (leadership: Leadership) => Promise<void>, options?: CampaignOptions): Promise<void>;
  /** The present leader. */
  leader(): Promise<Leader | undefined>;
  /** Watches who leads; resolves once established, with the leader that the changes start from. */
  watch(options?: { signal?: AbortSignal }): Promise<LeaderWatch>;
}

/** A leadership held. */
export interface Leadership extends Lease {
  /** As `release()`. */
  resign(): Promise<boolean>;
  /**
   * Replaces the value that others see.
   * @throws {LockLostError} when the leadership is over
   */
  proclaim(value: string): Promise<void>;
}

/** The changes of an election's leader, as one iterator. A slow reader gets the latest. */
export interface LeaderWatch extends AsyncIterable<Leader | undefined>, AsyncDisposable {
  /** The leader after the last change delivered. */
  readonly leader: Leader | undefined;
  /** False while disconnected: the view may be old. */
  readonly fresh: boolean;
}
