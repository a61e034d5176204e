import type { Clock } from "../driver.ts";
import type { State } from "./api/coordinator.ts";
import type { ClosedError } from "./errors.ts";
import type { Tenure } from "./tenure.ts";

/** Something that a coordinator ends when it is closed: a lease, a membership. */
export interface Owned {
  /** Fires the signal; the owner may still give it back. */
  retire(reason: ClosedError): void;
}

/** What locks, groups and elections need of their coordinator. */
export interface Host {
  readonly memberId: string;
  readonly driver: string;
  readonly clock: Clock;
  readonly state: State;
  /** The deadline of one operation, in ms. */
  readonly timeout: number;
  /** Fires with a `ClosedError` when closing begins. */
  readonly closing: AbortSignal;
  /** The present session, if there is one that lives. */
  readonly present: Tenure | undefined;
  /**
   * The present session; waits for a new one until then by the clock, by default for `timeout`.
   * @throws {ClosedError | ConnectionError}
   */
  tenure(until?: number): Promise<Tenure>;
  /** The present session; waits for a new one as long as it takes, or until `signal` aborts. */
  nextTenure(signal: AbortSignal): Promise<Tenure>;
  /**
   * Settles as the call does, or rejects soon after its deadline, by the clock; `gaveUp` is called when it does.
   * @throws {ConnectionError} after the deadline
   */
  inTime<T>(call: Promise<T>, until: number, gaveUp?: () => void): Promise<T>;
  /** Keeps something until it has ended: the returned function says so. */
  adopt(owned: Owned): () => void;
}
