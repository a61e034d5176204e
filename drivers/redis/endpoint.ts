import type { Access, Patience } from "../../internal/access.ts";
import { authorityOf } from "../../internal/url.ts";
import type { Replication } from "./replication.ts";

/** Where one server is. */
export interface Server {
  readonly host: string;
  readonly port: number;
}

/** How to find the server that serves, and as whom to log in there. */
export interface Endpoint {
  readonly access: Access;
  readonly db: number;
  /** Undefined: no replica needs to have anything. */
  readonly replication: Replication | undefined;
  /** For messages. */
  readonly shown: string;
  /** Whether it is a node of a cluster. */
  readonly isCluster: boolean;
  /** Whether it can be another server tomorrow. */
  readonly moves: boolean;
  /** The server that serves now; `present` is the one that did so far, which is preferred among equals. */
  locate(patience: Patience, present?: Server): Promise<Server>;
}

/** How to log in, and what is asked of a server, wherever it is. */
export type Demands = Pick<Endpoint, "access" | "db" | "replication">;

/** One server, always the same. */
export function single(server: Server, demands: Demands, isCluster = false): Endpoint {
  return {
    ...demands,
    isCluster,
    shown: `redis at "${authorityOf(server)}"`,
    moves: false,
    locate: () => Promise.resolve(server),
  };
}

/** Addresses that servers tell of one another, and where they are reached from here. */
export type Detours = ReadonlyMap<string, Server>;

/** Where a server is reached that is told to be here. */
export function detour(detours: Detours, server: Server): Server {
  return detours.get(authorityOf(server)) ?? server;
}

/** Whether they are one. */
export function isSame(one: Server | undefined, other: Server | undefined): boolean {
  return one?.host === other?.host && one?.port === other?.port;
}
