import type { Characteristic } from "../../characteristics.ts";
import type { DriverFactory } from "../../driver.ts";
import type { Election } from "./election.ts";
import type { Group } from "./group.ts";
import type { Lock } from "./lock.ts";

/** How to open a coordinator. */
export interface CoordinatorOptions {
  /** Who this is; default a random UUID. */
  memberId?: string;
  /** Refuses a backend that lacks one of these. */
  characteristics?: Iterable<Characteristic>;
  /** Separates applications on one server; default `"tooz"`. */
  namespace?: string;
  /** The most that a dead member or holder lingers, in ms; default 30,000. */
  ttl?: number;
  /** Signals fire this long before a hold can expire, in ms; default a fifth of the ttl as granted. */
  margin?: number;
  /** `"manual"`: the session is given up when `heartbeat()` was not called for `ttl`; default `"auto"`. */
  heartbeat?: "auto" | "manual";
  /** Drivers by URL scheme: for those of third parties, for bundlers and compiled programs. */
  drivers?: Record<string, DriverFactory>;
  /** Gives up connecting. */
  signal?: AbortSignal;
}

/** How the session is: `suspended` while the connection is away, `lost` while a new session is being opened. */
export type State = "connected" | "suspended" | "lost" | "closed";

/**
 * One participant: a session on a backend, and what is done on it. A lost session is replaced by itself; what was held
 * on it stays lost. An open coordinator keeps the process alive; disposing of it closes it.
 */
export interface Coordinator extends AsyncDisposable {
  /** Who this is. */
  readonly memberId: string;
  /** The driver's name, such as `"redis"`. */
  readonly driver: string;
  /** What this backend promises with these options. */
  readonly characteristics: ReadonlySet<Characteristic>;
  /** The present session: `signal` fires when it is lost; `ttl` in ms, as granted. */
  readonly session: { readonly signal: AbortSignal; readonly ttl: number };
  /** How the session is now. */
  readonly state: State;
  /** The state now, then each change. */
  states(): AsyncIterable<State>;
  /** The lock of a name. */
  lock(name: string): Lock;
  /** The group of an id. */
  group<C = unknown>(id: string): Group<C>;
  /** The ids of all groups. */
  groups(): Promise<string[]>;
  /** The election of an id. */
  election(id: string): Election;
  /**
   * Renews the session now.
   * @returns ms until the next one is due
   */
  heartbeat(): Promise<number>;
  /**
   * Ends everything: new calls and waiting acquires reject, every open lease, membership and leadership fires its
   * signal with `ClosedError`, and what their owners have not given back after `grace` ms (default 0) is given back
   * for them. Idempotent.
   */
  close(options?: { grace?: number }): Promise<void>;
}
