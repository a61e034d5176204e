import type { SessionLostError } from "../../core/errors.ts";
import type { Clock } from "../../driver.ts";
import type { TreeMember } from "./member.ts";
import type { Groups } from "./store.ts";

/** What groups and watches need of the session that they belong to. */
export interface Host {
  readonly driver: string;
  readonly clock: Clock;
  readonly memberId: string;
  readonly incarnation: string;
  readonly store: { readonly groups: Groups };
  readonly members: Set<TreeMember>;
  readonly calls: {
    /** Set once the session is lost or closed; what all calls reject with from then on. */
    readonly over: SessionLostError | undefined;
    /** Fires when the session is over. */
    readonly ending: AbortSignal;
    /** Sends a request; where it is told `again`, an earlier try may have been carried out. */
    run<T>(send: (again: boolean) => Promise<T>): Promise<T>;
    /** Tells that nothing more can be heard from the store. */
    suspend(cause: unknown): void;
  };
  /** Milliseconds since 1970, by the best clock that there is. */
  wall(): number;
  /** Called before the session has, or looks at, what must be seen to end when a session does. */
  appear(): Promise<void>;
  /** Removes something now and, if that fails, whenever there is a chance; see `TreeSession.owe`. */
  owe(remove: () => Promise<boolean>, settled: Promise<boolean>): Promise<void>;
}
