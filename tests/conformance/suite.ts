import type { Characteristic } from "../../characteristics.ts";
import type { Coordinator, CoordinatorOptions } from "../../core/api/coordinator.ts";
import type { Backend, DriverFactory, Entry, Kind, Opener } from "../../driver.ts";
import type { Runtime } from "../processes/runtimes.ts";
import type { Proxy } from "../servers/proxy.ts";
import type { Server } from "../servers/server.ts";
import type { RemoteMember } from "./remote.ts";

/** Something that a backend may lack by its nature. */
export type Means =
  /** Several processes may share it: `DISTRIBUTED_ACROSS_PROCESSES`. */
  | "processes"
  /** A server process, to be killed, paused and restarted. */
  | "server"
  /** A TCP connection, to be delayed, cut, and robbed of an answer. */
  | "proxy"
  /** A member can be cut off from it. */
  | "line"
  /** A server that asks for a password, and refuses a wrong one. */
  | "login"
  /** Holds end by a time-out: it is not `NON_TIMEOUT_BASED`. */
  | "expiry"
  /** A session is a connection to a server, and ends with it. */
  | "bound";

/** What a case needs of a backend: a characteristic, or a means. */
export type Need = Characteristic | Means;

/** One test of the suite. It runs unchanged on every backend and runtime, beside other cases in the same process. */
export interface Case {
  /** Symbol and expectation: `acquire() leaves no queue entry when aborted`. Unique in the suite. */
  readonly name: string;
  /** The ids of the sentences in docs/api.md that it holds. */
  readonly holds: readonly string[];
  readonly needs?: readonly Need[];
  /** It blocks the event loop, or measures: no other case may run beside it. */
  readonly alone?: boolean;
  /** One of the few that show on every runtime that a driver works there. */
  readonly smoke?: boolean;
  run(stage: Stage): Promise<void>;
}

/** How to open a coordinator on a stage. */
export interface OpenSettings extends CoordinatorOptions {
  /** Changes the backend as core sees it: its clock, say. */
  readonly wrap?: (opener: Opener) => Backend;
}

/** A way to the backend. */
export interface Site {
  readonly url: string;
  /**
   * Opens a coordinator in this process, in the case's namespace, with the ttl `Stage.ttl`; with a manual heartbeat
   * what is certain is as short as where faults are needed.
   */
  open(options?: OpenSettings): Promise<Coordinator>;
  /** Starts a process with a coordinator of its own; without a runtime, one after the other of the three. */
  worker(runtime?: Runtime, options?: WorkerSettings): Promise<RemoteMember>;
  /** Holders and waiters of a lock of the case's namespace, as the backend tells a bystander; never through a proxy. */
  entries(name: string, kind?: Kind): Promise<Entry[]>;
  /** Waits until that many wait for a lock at the backend. */
  queued(name: string, count: number): Promise<void>;
}

/** What can be told to another process. */
export type WorkerSettings = Omit<CoordinatorOptions, "characteristics" | "drivers" | "signal">;

/** A way to the backend that can be cut off. */
export interface Line extends Site {
  /** Nothing goes through any more, and nobody is told. */
  sever(): void;
  /**
   * Does what a session outlives: `fault`, or severs the way; where a session is its connection, all that goes through
   * is held back until the way is healed, as by a network that comes back.
   */
  interrupt(fault?: () => void): void;
  heal(): void;
}

/** A way through a TCP proxy. */
export interface Proxied extends Line {
  readonly proxy: Proxy;
}

/** A server of one's own. */
export interface Served extends Site {
  readonly server: Server;
  proxied(): Promise<Proxied>;
}

/** What a case plays on. All that it opens is closed after it, in the opposite order. */
export interface Stage extends Site {
  readonly driver: string;
  readonly characteristics: ReadonlySet<Characteristic>;
  /**
   * Of sessions in this case, in ms: short where it needs faults or expiry, bearable where what killed processes leave
   * behind expires, else long, so that a slow machine disturbs nothing.
   */
  readonly ttl: number;
  /** How long at most a session of that ttl outlives its process, in ms: what is asked for, where less is granted. */
  readonly lingers: number;
  /** The namespace of coordinators that are opened without one; no other case has it. */
  readonly namespace: string;
  /** A name that nothing else has. */
  name(word?: string): string;
  /** The factory of the driver under test. */
  readonly factory: DriverFactory;
  has(need: Need): boolean;
  /** Calls `fn` again and again until it returns something true, and throws what it last threw after `ms`. */
  eventually<T>(fn: () => T | Promise<T>, ms?: number): Promise<T>;
  /** Needs "line". */
  line(): Promise<Line>;
  /** Needs "proxy". */
  proxied(): Promise<Proxied>;
  /** Needs "server". Without `keepsData` it may be empty after a restart. */
  ownServer(options?: ServerSettings): Promise<Served>;
  /** Runs after the case, before what was opened earlier is closed. */
  defer(end: () => unknown): void;
}

export interface ServerSettings {
  readonly keepsData?: boolean;
  readonly password?: string;
}

/** The backend that all cases of a run share. */
export interface Place {
  readonly url: string;
  readonly server?: Server;
  stop(): Promise<void>;
}

/** What the suite must know of a backend. A further driver adds one file with one of these, and nothing else. */
export interface Fixture {
  readonly driver: string;
  /** What the driver's entry exports. */
  readonly factory: DriverFactory;
  /** Starts the backend that all cases share. */
  start(): Promise<Place>;
  /** What part of the ttl that is asked for a session is granted, so that the suite asks for more; default 1. */
  readonly grants?: number;
  /** Starts a server for one case; gives the case the means "server", and "proxy" and "line" with it. */
  readonly server?: (settings: ServerSettings) => Promise<Server>;
  /** Why no proxy can stand before all that such a server is; default: one can. */
  readonly unproxied?: string;
  /** Whether that server can ask for a password. */
  readonly login?: boolean;
  /** Cuts members off, where no proxy can; gives the case the means "line". */
  readonly partition?: (url: string, members: readonly string[], cut: boolean) => void;
}
