import {
  type Etcd3,
  EtcdAuthenticationFailedError,
  EtcdLeaseInvalidError,
  EtcdPermissionDeniedError,
  GRPCAlreadyExistsError,
  GRPCFailedPreconditionError,
  GRPCInvalidArgumentError,
  GRPCNotImplementedError,
  GRPCOutOfRangeError,
  GRPCResourceExhastedError,
  GRPCUnauthenticatedError,
} from "etcd3";
import { CapacityError } from "../../core/errors.ts";
import { either } from "../../core/abort.ts";
import { Interrupted, SessionGone } from "../../internal/tree/store.ts";
import type { Clock } from "../../driver.ts";
import { type ClientOptions, createClient } from "./client.ts";
import { Heart } from "./heart.ts";
import { Watcher } from "./watcher.ts";

/** What a link is opened with. */
export interface LinkOptions extends ClientOptions {
  /** Called once when the link is no more. */
  closed(cause: unknown): void;
}

/** When a request is given up, in ms since 1970. */
export interface Deadline {
  readonly deadline: number;
}

/** Answers that another try does not change; all others may come of a server that is away, or without a leader. */
const FINAL = [
  EtcdAuthenticationFailedError,
  EtcdPermissionDeniedError,
  GRPCAlreadyExistsError,
  GRPCFailedPreconditionError,
  GRPCInvalidArgumentError,
  GRPCNotImplementedError,
  GRPCOutOfRangeError,
  GRPCUnauthenticatedError,
];

/** One connection to one server, until it breaks; it is never repaired. */
export class Link {
  readonly host: string;
  readonly heart: Heart;
  readonly watcher: Watcher;
  readonly #client: Etcd3;
  readonly #clock: Clock;
  readonly #closed: (cause: unknown) => void;
  readonly #ending = new AbortController();
  #isOpen = true;

  constructor(options: LinkOptions) {
    const { host, clock, closed } = options;
    this.host = host;
    this.#clock = clock;
    this.#closed = closed;
    this.#client = createClient(options);
    const broken = (cause: unknown) => this.destroy(cause);
    this.heart = new Heart(this.#client, broken);
    this.watcher = new Watcher(this.#client, clock, broken);
  }

  /** Makes a request that has `limit` ms; ends the link where that gets no proper answer. */
  async ask<T>(
    request: (client: Etcd3, options: Deadline) => Promise<T>,
    limit: number,
  ): Promise<T> {
    try {
      const answer = request(this.#client, { deadline: this.#clock.wall() + limit });
      return await either(answer, this.#ending.signal);
    } catch (error) {
      const known = classify(error);
      if (known instanceof Interrupted) this.destroy(known);
      throw known;
    }
  }

  /** Closes the connection; what waits is interrupted. */
  destroy(cause: unknown): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const interrupted = cause instanceof Interrupted ? cause : new Interrupted(describe(cause), { cause });
    this.#ending.abort(interrupted);
    this.heart.end(interrupted);
    this.watcher.end(interrupted);
    this.#client.close();
    this.#closed(interrupted);
  }
}

function classify(error: unknown): unknown {
  if (error instanceof Interrupted || error instanceof SessionGone) return error;
  if (error instanceof EtcdLeaseInvalidError) {
    return new SessionGone("the lease has expired", { cause: error });
  }
  const room = roomFor(error);
  if (room !== undefined) {
    return new CapacityError(`Cannot store that in etcd: ${describe(error)}; ${room}`, {
      driver: "etcd",
      cause: error,
    });
  }
  if (FINAL.some((kind) => error instanceof kind)) return error;
  return new Interrupted(describe(error), { cause: error });
}

/** What makes room where a server says that it has none; undefined: it says something else. */
function roomFor(error: unknown): string | undefined {
  if (error instanceof GRPCResourceExhastedError && /space exceeded/.test(error.message)) {
    return "raise --quota-backend-bytes or compact and defragment, then disarm the alarm";
  }
  const isLarge = error instanceof Error &&
    /request is too large|received message larger/.test(error.message);
  return isLarge ? "raise --max-request-bytes, or store less in one value" : undefined;
}

/** Why, for people. */
export function describe(error: unknown): string {
  return error instanceof Error ? error.message : "the connection broke";
}
