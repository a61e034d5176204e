import { Redis } from "ioredis";
import type { Clock } from "../../driver.ts";
import type { Script } from "./script.ts";

/** Where a server is, and as whom to log in there. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly db: number;
}

/** What a link is opened with. */
export interface LinkOptions {
  readonly clock: Clock;
  /** A request, or the connecting, that takes longer than these ms ends the link. */
  readonly limit: number;
  readonly signal: AbortSignal;
  readonly channels: Iterable<string>;
  /** The identity of the link before, which is closed on the server, so that no request of it is carried out late. */
  readonly former: string | undefined;
  message(channel: string, text: string): void;
  /** Called once when the link is no more. */
  closed(link: Link, cause: unknown): void;
}

/** The answer to a request will not come; it may have been carried out. */
export class Interrupted extends Error {}

/** Answers of a server that cannot serve at present, or is the wrong one by now. */
const UNFIT = /^(LOADING|MASTERDOWN|READONLY|CLUSTERDOWN|TRYAGAIN|BUSY) /;

/**
 * One connection, from when it is ready until it breaks; it is never repaired. Commands and messages share it (RESP3),
 * so that an answer comes before every message that was sent after it.
 */
export class Link {
  readonly #client: Redis;
  readonly #options: LinkOptions;
  readonly #pending = new Set<number[]>();
  /** The scripts that the server knows of us. */
  readonly #known = new Set<Script>();
  /** What the server knows this connection by; undefined where it does not say. */
  identity: string | undefined;
  #cause: unknown;
  #destroyed = false;
  #suspect: number[] | undefined;
  #stopWatch: (() => void) | undefined;

  private constructor(client: Redis, options: LinkOptions) {
    this.#client = client;
    this.#options = options;
  }

  /** Connects, logs in and subscribes to the channels. */
  static async open(endpoint: Endpoint, options: LinkOptions): Promise<Link> {
    const client = new Redis(settings(endpoint));
    const link = new Link(client, options);
    client.on("error", (error: Error) => link.#cause ??= clean(error));
    client.on("message", options.message);
    const stop = options.clock.after(options.limit, () => {
      link.destroy(new Error(`no answer within ${options.limit} ms`));
    });
    const abort = () => link.destroy(options.signal.reason);
    options.signal.addEventListener("abort", abort, { once: true });
    try {
      options.signal.throwIfAborted();
      await client.connect();
      await link.#begin();
      if (client.mode === "subscriber") {
        throw new Error("the server is older than Redis 6: it does not speak RESP3");
      }
      // A database that does not exist is no reason for the client to fail, only an event.
      if (link.#cause !== undefined) throw link.#cause;
      if (client.status !== "ready") throw new Error("the server closed the connection");
    } catch (error) {
      link.destroy(error);
      throw link.#cause;
    } finally {
      stop();
      options.signal.removeEventListener("abort", abort);
    }
    client.once("close", () => {
      link.#stopWatch?.();
      options.closed(link, link.#cause ?? new Error("the server closed the connection"));
    });
    return link;
  }

  async #begin(): Promise<void> {
    const { channels, former } = this.#options;
    // Not all servers and users can do this; where they cannot, a late request is undone when it is noticed.
    const optional = () => undefined;
    const about = this.#client.call("client", ["info"]).catch(optional);
    if (former) this.#client.call("client", ["kill", ...former.split(" "), "skipme", "yes"]).catch(optional);
    await this.#client.subscribe(...channels);
    const [, id, address] = /^id=(\d+) addr=(\S+)/.exec(String(await about)) ?? [];
    // The number alone could be another's, since a server that was restarted counts anew.
    if (id && address) this.identity = `id ${id} addr ${address}`;
  }

  /** Whether it can still be used. */
  get open(): boolean {
    return !this.#destroyed && this.#client.status === "ready";
  }

  /** Runs a script; rejects with `Interrupted`, or with what the server answered. */
  async run(script: Script, key: string, args: readonly string[]): Promise<unknown> {
    // The first time in full, so that what is sent first is also done first.
    if (this.#known.has(script)) {
      try {
        return await this.#ask(this.#client.call("evalsha", [script.sha, "1", key, ...args]));
      } catch (error) {
        if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
      }
    }
    this.#known.add(script);
    return await this.#ask(this.#client.call("eval", [script.lua, "1", key, ...args]));
  }

  /** Settles when the messages of a channel will come. */
  async subscribe(channel: string): Promise<void> {
    await this.#ask(this.#client.subscribe(channel));
  }

  /** Asks for no more messages of a channel. */
  unsubscribe(channel: string): void {
    // Where it fails the connection is gone, and the subscription with it.
    this.#client.unsubscribe(channel).catch(() => {});
  }

  /** Cuts the connection now, without the usual good-bye, which a hung server would not answer. */
  destroy(cause: unknown): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#cause ??= cause;
    this.#stopWatch?.();
    this.#client.disconnect();
    // Not there yet when the name of the host is still being looked up.
    this.#client.stream?.destroy();
  }

  async #ask(answer: Promise<unknown>): Promise<unknown> {
    const request = [this.#options.clock.now()];
    this.#pending.add(request);
    this.#stopWatch ??= this.#options.clock.after(this.#options.limit, this.#watch);
    try {
      return await answer;
    } catch (error) {
      if (!isReply(error)) throw new Interrupted("the connection broke", { cause: this.#cause ?? error });
      if (!UNFIT.test(clean(error).message)) throw error;
      throw new Interrupted("the server cannot serve now", { cause: error });
    } finally {
      this.#pending.delete(request);
    }
  }

  #watch = (): void => {
    const { clock, limit } = this.#options;
    this.#stopWatch = undefined;
    const [oldest] = this.#pending;
    if (!oldest) return;
    const left = (oldest[0] ?? 0) + limit - clock.now();
    if (left <= 0 && this.#suspect === oldest) return this.destroy(new Error(`no answer within ${limit} ms`));
    // After a stall of the event loop the answer may lie in the socket: let it be read before giving up.
    if (left <= 0) this.#suspect = oldest;
    this.#stopWatch = clock.after(Math.max(left, 5), this.#watch);
  };
}

/** Settings with which the client does nothing of its own accord: no queue, no retry, no connection without asking. */
function settings(endpoint: Endpoint) {
  return {
    host: endpoint.host,
    port: endpoint.port,
    username: endpoint.user,
    password: endpoint.password,
    db: endpoint.db,
    protocol: 3,
    lazyConnect: true,
    retryStrategy: null,
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    enableReadyCheck: false,
    autoResubscribe: false,
    autoResendUnfulfilledCommands: false,
    disableClientInfo: true,
    connectTimeout: 0,
  } as const;
}

function isReply(error: unknown): error is Error {
  return error instanceof Error && error.name === "ReplyError";
}

/** Takes the arguments of the command off an error: a password may be among them. */
function clean(error: Error): Error {
  if ("command" in error) delete error.command;
  return error;
}
