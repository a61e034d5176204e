import type { Redis } from "ioredis";
import type { Clock } from "../../driver.ts";
import { clean, cut, fields, isReply, makeClient } from "./client.ts";
import type { Endpoint, Server } from "./endpoint.ts";
import { type Replication, Unconfirmed } from "./replication.ts";
import type { Script } from "./script.ts";

/** What a link is opened with. */
export interface LinkOptions {
  readonly clock: Clock;
  /** The connecting ends the link when it takes longer than these ms. */
  readonly limit: number;
  /** A request does so when it takes longer than these. */
  readonly silence: number;
  readonly signal: AbortSignal;
  readonly isCluster: boolean;
  readonly channels: Iterable<string>;
  /** The identity of the link before, which is closed on the server, so that no request of it is carried out late. */
  readonly former: string | undefined;
  message(channel: string, text: string): void;
  /** Called once when the link is no more. */
  closed(link: Link, cause: unknown): void;
}

/** The answer to a request will not come; it may have been carried out. */
export class Interrupted extends Error {}

/** Answers of a server that cannot serve at present, or is the wrong one by now; Redis 6 puts a script's behind its own. */
const UNFIT = /^(LOADING|MASTERDOWN|READONLY|BUSY) |^ERR Error running script .*: -(MASTERDOWN|READONLY) /;

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
  static async open(server: Server, { access, db }: Endpoint, options: LinkOptions): Promise<Link> {
    const start = options.clock.now();
    const client = await makeClient(server, access, options, db);
    const link = new Link(client, options);
    client.on("error", (error: Error) => link.#cause ??= clean(error));
    client.on("message", options.message);
    const stop = options.clock.after(start + options.limit - options.clock.now(), () => {
      link.destroy(new Error(`no answer within ${Math.round(options.limit)} ms`));
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
    const hello = this.#client.call("hello").catch(optional);
    if (former) this.#client.call("client", ["kill", ...former.split(" "), "skipme", "yes"]).catch(optional);
    await this.#client.subscribe(...channels);
    checkFitness(fields(await hello), this.#options.isCluster);
    const [, id, address] = /^id=(\d+) addr=(\S+)/.exec(String(await about)) ?? [];
    // The number alone could be another's, since a server that was restarted counts anew.
    if (id && address) this.identity = `id ${id} addr ${address}`;
  }

  /** Whether it can still be used. */
  get open(): boolean {
    return !this.#destroyed && this.#client.status === "ready";
  }

  /** Runs a script; rejects with `Interrupted`, or with what the server answered. */
  run(script: Script, key: string, args: readonly string[]): Promise<unknown> {
    // The first time in full, so that what is sent first is also done first.
    if (!this.#known.has(script)) return this.#ask(this.#inFull(script, key, args));
    const answer = this.#client.call("evalsha", [script.sha, ...this.#keys(key), ...args]);
    return this.#ask(answer, () => this.#inFull(script, key, args));
  }

  #inFull(script: Script, key: string, args: readonly string[]): Promise<unknown> {
    this.#known.add(script);
    return this.#client.call("eval", [script.lua, ...this.#keys(key), ...args]);
  }

  /**
   * On a cluster a second key, which does not exist: so no node runs a script while it gives the keys of the slot to
   * another and may have some of them only.
   */
  #keys(key: string): string[] {
    return this.#options.isCluster ? ["2", key, `${/^{[^}]*}/.exec(key)?.[0]}:`] : ["1", key];
  }

  /** All keys that match a pattern. */
  async scan(pattern: string): Promise<string[]> {
    const found = new Set<string>();
    let cursor = "0";
    do {
      const page = await this.#ask(this.#client.call("scan", [cursor, "MATCH", pattern, "COUNT", "1000"]));
      const [next, keys] = Array.isArray(page) ? page : [];
      cursor = String(next ?? "0");
      for (const key of Array.isArray(keys) ? keys : []) found.add(String(key));
    } while (cursor !== "0");
    return [...found];
  }

  /** Settles when enough replicas have all that was written on this link; rejects with `Unconfirmed` else. */
  async replicated({ count, limit }: Replication): Promise<void> {
    const { clock } = this.#options;
    const end = clock.now() + limit;
    for (;;) {
      // In slices, since everything else on this connection waits for the end of each.
      const slice = Math.max(Math.ceil(Math.min(end - clock.now(), 20)), 1);
      const have = Number(await this.#ask(this.#client.call("wait", [`${count}`, `${slice}`])));
      if (have >= count) return;
      if (clock.now() >= end) {
        throw new Unconfirmed(
          `${have} of ${count} replicas have confirmed it within ${Math.round(limit)} ms`,
        );
      }
    }
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
    cut(this.#client);
  }

  /** @param inFull asks again where the server does not know the script that it was asked for */
  async #ask(answer: Promise<unknown>, inFull?: () => Promise<unknown>): Promise<unknown> {
    const request = [this.#options.clock.now()];
    this.#pending.add(request);
    this.#stopWatch ??= this.#options.clock.after(this.#options.silence, this.#watch);
    try {
      return await answer;
    } catch (error) {
      if (inFull && error instanceof Error && error.message.startsWith("NOSCRIPT")) {
        return await this.#ask(inFull());
      }
      if (!isReply(error)) throw new Interrupted("the connection broke", { cause: this.#cause ?? error });
      if (!UNFIT.test(clean(error).message)) throw error;
      throw new Interrupted("the server cannot serve now", { cause: error });
    } finally {
      this.#pending.delete(request);
    }
  }

  #watch = (): void => {
    const { clock, silence } = this.#options;
    this.#stopWatch = undefined;
    const [oldest] = this.#pending;
    if (!oldest) return;
    const left = (oldest[0] ?? 0) + silence - clock.now();
    if (left <= 0 && this.#suspect === oldest) {
      return this.destroy(new Error(`no answer within ${Math.round(silence)} ms`));
    }
    // After a stall of the event loop the answer may lie in the socket: let it be read before giving up.
    if (left <= 0) this.#suspect = oldest;
    this.#stopWatch = clock.after(Math.max(left, 5), this.#watch);
  };
}

/** Throws if a server says of itself that it is none to keep locks on; an old one says nothing. */
function checkFitness(hello: ReadonlyMap<string, string>, isCluster: boolean): void {
  const [mode, role] = [hello.get("mode"), hello.get("role")];
  if (mode === "sentinel") throw new Error("it is a sentinel: want sentinel=NAME in the URL");
  if (mode === "cluster" && !isCluster) {
    throw new Error("it is a node of a cluster: want cluster=true in the URL");
  }
  if (mode === "standalone" && isCluster) throw new Error("it is no node of a cluster");
  if (role === "replica") throw new Error("it is a replica, which can only be read");
}
