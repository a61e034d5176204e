import type { IncomingHttpHeaders } from "node:http";
import { CapacityError } from "../../core/errors.ts";
import { Interrupted } from "../../internal/tree/store.ts";

/** What a server said that was neither a failure nor a refusal: 200, 404 or 409. */
export interface Answer {
  readonly status: number;
  /** Where in the history of the server it belongs; empty where it does not say. */
  readonly index: string;
  readonly body: unknown;
}

/** The answer as the client library gives it. */
export interface Response {
  readonly statusCode: number;
  readonly headers: IncomingHttpHeaders;
  readonly body?: unknown;
}

/** The server does not permit it, with this token. */
export class Denied extends Error {}

/** Words of an internal server error that no other server and no later try would change. */
const FINAL = /^(No path to datacenter|Invalid |ACL |Permission denied)/;

/**
 * Reads an answer.
 * @throws {Interrupted} when the server cannot serve now: it knows no leader, is busy, or has reached a limit
 */
export function readAnswer({ statusCode: status, headers, body }: Response): Answer {
  if (status === 200 || status === 404 || status === 409) {
    const index = headers["x-consul-index"];
    return { status, index: typeof index === "string" ? index : "", body };
  }
  const text = typeof body === "string" ? body.trim() : "";
  // So it answers who speaks no TLS.
  const hint = status === 400 ? ": it may want TLS" : "";
  const said = text === "" ? `the server answered ${status}${hint}` : text;
  if (status >= 500 && !FINAL.test(text)) throw new Interrupted(said);
  if (status === 429) throw new Interrupted(said, { cause: limited(said) });
  if (status === 413) {
    const advice = "it is too large; raise txn_max_req_len and kv_max_value_size, or store less in one value";
    throw new CapacityError(`Cannot store that in Consul: ${advice} (${said})`, { driver: "consul" });
  }
  throw status === 403 ? new Denied(said) : new Error(said);
}

/** What the server says while it lets nobody in may pass; who waits for that in vain is told. */
function limited(said: string): CapacityError {
  const limit = /concurrent connections/.test(said)
    ? "http_max_conns_per_client"
    : "rpc_rate, or request_limits";
  const message = `Cannot use Consul: it turns requests away for a limit: ${said}; raise its ${limit}`;
  return new CapacityError(message, { driver: "consul" });
}

/** The answer in an error of the client library, which takes all but 2xx for errors. */
export function responseOf(error: unknown): Response | undefined {
  if (!(error instanceof Error) || !("response" in error)) return undefined;
  const { response } = error;
  if (typeof response !== "object" || response === null || !("statusCode" in response)) return undefined;
  return response as Response; // Node's own message, with the body that the library put in.
}
