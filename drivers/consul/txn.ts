import { CapacityError } from "../../core/errors.ts";
import { Interrupted, SessionGone } from "../../internal/tree/store.ts";
import { type Answer, Denied } from "./answer.ts";
import type { Link } from "./link.ts";
import { encodeValue, field, items, type Pair, readPair } from "./pair.ts";

/** The largest transaction that a server takes by default, in bytes. */
const LARGEST = 512 * 1024;

/** One step of a transaction. */
export interface Step {
  readonly Verb: string;
  readonly Key: string;
  readonly Value?: string;
  readonly Session?: string;
  readonly Index?: number;
}

/** The steps of which transactions are made here. */
export const step = {
  /** Fails where the key is missing. */
  get: (key: string): Step => ({ Verb: "get", Key: key }),
  tree: (prefix: string): Step => ({ Verb: "get-tree", Key: prefix }),
  /** Makes a key; fails where there is one. */
  make: (key: string, value: string): Step => ({
    Verb: "cas",
    Key: key,
    Value: encodeValue(value),
    Index: 0,
  }),
  /** Writes a key, which stays whose it is. */
  set: (key: string, value: string): Step => ({ Verb: "set", Key: key, Value: encodeValue(value) }),
  /** Writes a key that ends with the session; fails where another has it. */
  lock: (key: string, value: string, session: string): Step => ({
    Verb: "lock",
    Key: key,
    Value: encodeValue(value),
    Session: session,
  }),
  delete: (key: string): Step => ({ Verb: "delete", Key: key }),
  /** Fails unless the session has the key. */
  ifHeld: (key: string, session: string): Step => ({ Verb: "check-session", Key: key, Session: session }),
  /** Fails unless the key is there and was last changed then. */
  ifUnchanged: (key: string, modified: string): Step => ({
    Verb: "check-index",
    Key: key,
    Index: Number(modified),
  }),
  ifAbsent: (key: string): Step => ({ Verb: "check-not-exists", Key: key }),
};

/** What became of a transaction: what its steps read and wrote, or the numbers of those that failed. */
export type Outcome =
  | { readonly pairs: readonly Pair[]; readonly failed?: undefined }
  | { readonly pairs?: undefined; readonly failed: ReadonlySet<number> };

/** Carries out all steps or none. Where all of them read, the answer is linearizable. */
export async function transact(link: Link, steps: readonly Step[]): Promise<Outcome> {
  const { status, body } = await send(link, steps.map((one) => ({ KV: one })));
  if (status === 200) {
    return { pairs: items(field(body, "Results")).map((result) => readPair(field(result, "KV"))) };
  }
  const errors = items(field(body, "Errors"));
  for (const error of errors) {
    const what = String(field(error, "What"));
    if (/^(invalid session|failed session lookup)/.test(what)) throw new SessionGone(what);
    // Else it would look as if the step had failed.
    if (/^(Permission denied|ACL )/.test(what)) throw new Denied(what);
  }
  return { failed: new Set(errors.map((error) => Number(field(error, "OpIndex")))) };
}

async function send(link: Link, body: unknown): Promise<Answer> {
  try {
    return await link.ask({ method: "PUT", path: "/txn", query: { consistent: "1" }, body });
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    const { length } = JSON.stringify(body);
    if (length <= LARGEST) throw error;
    // The server refuses without reading it all, so that not every client gets to see the refusal.
    const advice = "it is too large; raise txn_max_req_len, or store less in one value";
    throw new CapacityError(`Cannot send a request of ${length} bytes to Consul: ${advice}`, {
      driver: "consul",
      cause: error,
    });
  }
}

/** Carries out all steps or none: whether it did. */
export async function commit(link: Link, steps: readonly Step[]): Promise<boolean> {
  return (await transact(link, steps)).pairs !== undefined;
}
