/** What the processes of the demo say to one another, as lines of JSON. Tokens are text: JSON has no bigint. */

/** What the work on a file results in. */
export interface Result {
  readonly lines: number;
  readonly words: number;
  readonly sha256: string;
}

/** The first line of a worker's input. After it: the line `stall`, perhaps; the end of the input ends the worker. */
export interface WorkerSettings {
  readonly id: string;
  readonly backend: string;
  readonly namespace: string;
  readonly folder: string;
  /** The port of the store. */
  readonly store: number;
  /** How long a file takes beyond the real work, in ms. */
  readonly pause: number;
}

/** What a worker tells. */
export type WorkerEvent =
  | { readonly type: "took"; readonly file: string; readonly token: string }
  | { readonly type: "gave back" }
  | { readonly type: "lost"; readonly file: string; readonly why: string }
  | { readonly type: "stalls"; readonly file: string; readonly token: string }
  | { readonly type: "trouble"; readonly why: string };

/** The first line of the store's input. */
export interface StoreSettings {
  readonly files: readonly string[];
  /** Whether old tokens are refused. */
  readonly fencing: boolean;
  /** The file that every attempt to write is appended to. */
  readonly journal: string;
}

/** Who did what to which file, with which token. */
export interface Attempt {
  readonly file: string;
  readonly worker: string;
  readonly token: string;
}

/** What the store tells. */
export type StoreEvent =
  | { readonly type: "listening"; readonly port: number }
  | ({ readonly type: "taken over" } & Attempt)
  | ({ readonly type: "written"; readonly result: Result } & Attempt)
  | ({ readonly type: "refused"; readonly greatest: string } & Attempt);

/** What a worker asks of the store. */
export type StoreCall =
  | { readonly call: "pending" }
  | { readonly call: "totals" }
  | ({ readonly call: "claim" } & Attempt)
  | ({ readonly call: "write"; readonly result: Result } & Attempt);

/** The work of the leader, beside the files: no path is empty. */
export const SUMMARY = "";
