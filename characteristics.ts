/**
 * What a backend promises beyond the API that all of them share.
 *
 * Every method works on every backend; how strong its promise is differs, and a characteristic names one such
 * strength. A driver claims one only where a test proves it on a real server.
 *
 * @module
 */

/** Safe to use from several coordinators in one process. */
export type Threads = "DISTRIBUTED_ACROSS_THREADS";

/** Safe to use from several processes of one host. */
export type Processes = "DISTRIBUTED_ACROSS_PROCESSES";

/** Safe to use from several hosts. */
export type Hosts = "DISTRIBUTED_ACROSS_HOSTS";

/** No promise rests on a client's time-out: a connection or the kernel ends a hold. Implies `CRASH_RELEASE`. */
export type NonTimeoutBased = "NON_TIMEOUT_BASED";

/** Every operation takes effect at one instant between its call and its answer. */
export type Linearizable = "LINEARIZABLE";

/** The operations of one client take effect in the order in which it made them, seen alike by all. */
export type Sequential = "SEQUENTIAL";

/** Operations that depend on one another are seen by everybody in that order. */
export type Causal = "CAUSAL";

/** Operations take effect as if one after the other, in some order. */
export type Serializable = "SERIALIZABLE";

/** Clients on both sides of a network partition see the same state. */
export type SameViewUnderPartitions = "SAME_VIEW_UNDER_PARTITIONS";

/** Every client sees the same state at the same time. */
export type SameViewAcrossClients = "SAME_VIEW_ACROSS_CLIENTS";

/** Waiters are served in order of arrival, across processes. */
export type Fair = "FAIR";

/** Waiters for a lock are woken by the backend, not by polling. */
export type PushedLocks = "PUSHED_LOCKS";

/** Watches are woken by the backend, not by polling. */
export type PushedWatches = "PUSHED_WATCHES";

/** What a killed process held, or was a member of, is free at once, without a time-out. */
export type CrashRelease = "CRASH_RELEASE";

/** Every way of losing a hold, `break()` apart, is signalled before anyone else can be granted it. */
export type LossBeforeRegrant = "LOSS_BEFORE_REGRANT";

/** Fencing tokens still grow after the server was killed and restarted on its intact storage. */
export type DurableFencing = "DURABLE_FENCING";

/** One promise of a backend; the members of the union say what each means. */
export type Characteristic =
  | Threads
  | Processes
  | Hosts
  | NonTimeoutBased
  | Linearizable
  | Sequential
  | Causal
  | Serializable
  | SameViewUnderPartitions
  | SameViewAcrossClients
  | Fair
  | PushedLocks
  | PushedWatches
  | CrashRelease
  | LossBeforeRegrant
  | DurableFencing;
