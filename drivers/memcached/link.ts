import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { CapacityError } from "../../core/errors.ts";
import type { Clock } from "../../driver.ts";
import { type Access, type Credentials, credentials } from "../../internal/access.ts";
import { Interrupted } from "../../internal/tree/store.ts";
import { type Answer, Parser } from "./answers.ts";

/** Where a server is. */
export interface Server {
  readonly host: string;
  readonly port: number;
}

/** What a link is opened with. */
export interface LinkOptions {
  readonly clock: Clock;
  readonly access: Access;
  /** A request, or the connecting, that takes longer than these ms ends the link. */
  readonly limit: number;
  /** Called once when the link is no more. */
  closed(link: Link, cause: unknown): void;
}

type Stats = ReadonlyMap<string, string>;

interface Request {
  readonly sent: number;
  resolve(answer: Answer | Stats): void;
  reject(error: Error): void;
}

/** Who connects now; rejects with `Interrupted` where that cannot be found out. */
async function present(access: Access, { clock, limit }: LinkOptions): Promise<Credentials> {
  try {
    return await credentials(access, { clock, limit, signal: new AbortController().signal });
  } catch (cause) {
    throw new Interrupted(cause instanceof Error ? cause.message : "there are no credentials", { cause });
  }
}

/** A socket, and the event that tells when it can be used. */
function dial({ host, port }: Server, { tls }: Credentials): { socket: Socket; event: string } {
  if (!tls) return { socket: connect({ host, port, noDelay: true }), event: "connect" };
  const socket = connectTls({ host, port, ...tls });
  socket.setNoDelay();
  return { socket, event: "secureConnect" };
}

/** Beside the value an item holds its key, its header and what the server needs to find it. */
const OVERHEAD = 1_024;

/** Said before anything was asked, and then the server closes the connection. */
function crowded(): CapacityError {
  const message = "Cannot connect to memcached: the server has no connection left; raise its -c";
  return new CapacityError(message, { driver: "memcached" });
}

/**
 * One connection, from when it is ready until it breaks; it is never repaired. A version of an item that was read on a
 * link is worth nothing on another: after a restart the server counts from 1 again.
 */
export class Link {
  readonly #socket: Socket;
  readonly #options: LinkOptions;
  readonly #pending: Request[] = [];
  #cause: unknown;
  #isOver = false;
  #suspect: Request | undefined;
  #stopWatch: (() => void) | undefined;
  /** The longest value that the server takes, in bytes. */
  largest = 0;

  private constructor(socket: Socket, options: LinkOptions) {
    this.#socket = socket;
    this.#options = options;
    const parser = new Parser({
      answer: (answer) => this.#pending.shift()?.resolve(answer),
      stats: (stats) => this.#pending.shift()?.resolve(stats),
      refusal: (line) => {
        if (/^ERROR Too many open connections/.test(line)) this.destroy(crowded());
        else this.#pending.shift()?.reject(new Error(`the server answered "${line}"`));
      },
    });
    socket.on("data", (chunk) => {
      if (typeof chunk !== "string") parser.feed(chunk);
    });
    socket.on("error", (error) => this.destroy(error));
    socket.on("close", () => this.destroy(new Error("the server closed the connection")));
  }

  /**
   * Connects, logs in, and looks whether the server keeps versions.
   * @throws {Interrupted} when it cannot be reached
   */
  static async open(server: Server, options: LinkOptions): Promise<Link> {
    const { clock, limit, access } = options;
    const start = clock.now();
    const who = await present(access, options);
    const { socket, event } = dial(server, who);
    const link = new Link(socket, options);
    const stop = clock.after(start + limit - clock.now(), () => link.#expire());
    try {
      const ready = Promise.withResolvers<void>();
      socket.once(event, () => ready.resolve());
      socket.once("close", () => ready.reject(link.#interrupted()));
      await ready.promise;
      if (who.user !== undefined) await link.#logIn(who.user, who.password);
      const settings = await link.stats("settings");
      if (settings.get("cas_enabled") === "no") {
        throw new Error("the server keeps no versions of items: it was started with -C");
      }
      if (settings.get("evictions") === "off") {
        // One who waits for a lock would take it away from its holder.
        const harm = "a write that has no room deletes what it should replace";
        throw new Error(`${harm}: the server was started with -M; start it without, and with more -m`);
      }
      link.largest = Number(settings.get("item_size_max") ?? 1_048_576) - OVERHEAD;
      return link;
    } catch (error) {
      link.destroy(error);
      throw error;
    } finally {
      stop();
    }
  }

  async #logIn(user: string, password = ""): Promise<void> {
    const words = `${user} ${password}`;
    // The key does not matter. A server that asks nobody to log in would store the words: they expire at once.
    await this.ask(`set login 0 -1 ${Buffer.byteLength(words)}`, words);
  }

  /** Whether requests can be sent. */
  get isOpen(): boolean {
    return !this.#isOver;
  }

  /** Sends a request of the meta protocol, with its value where it has one. */
  ask(line: string, value?: string): Promise<Answer> {
    const text = value === undefined ? `${line}\r\n` : `${line}\r\n${value}\r\n`;
    return this.#send(text) as Promise<Answer>; // Only "stats" is answered with statistics.
  }

  /** What the server tells of itself. */
  async stats(topic?: string): Promise<Stats> {
    return await this.#send(topic === undefined ? "stats\r\n" : `stats ${topic}\r\n`) as Stats; // As above.
  }

  /** Cuts the connection; whatever waits for an answer rejects. */
  destroy(cause: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cause = cause;
    this.#stopWatch?.();
    this.#socket.destroy();
    for (const request of this.#pending.splice(0)) request.reject(this.#interrupted());
    this.#options.closed(this, cause);
  }

  #send(text: string): Promise<Answer | Stats> {
    if (this.#isOver) return Promise.reject(this.#interrupted());
    const { clock, limit } = this.#options;
    const { promise, resolve, reject } = Promise.withResolvers<Answer | Stats>();
    this.#pending.push({ sent: clock.now(), resolve, reject });
    this.#stopWatch ??= clock.after(limit, this.#watch);
    this.#socket.write(text);
    return promise;
  }

  #watch = (): void => {
    const { clock, limit } = this.#options;
    this.#stopWatch = undefined;
    const [oldest] = this.#pending;
    if (!oldest) return;
    const left = oldest.sent + limit - clock.now();
    if (left <= 0 && this.#suspect === oldest) return this.#expire();
    // After a stall of the event loop the answer may lie in the socket: let it be read before giving up.
    if (left <= 0) this.#suspect = oldest;
    this.#stopWatch = clock.after(Math.max(left, 5), this.#watch);
  };

  #expire(): void {
    this.destroy(new Error(`no answer within ${Math.round(this.#options.limit)} ms`));
  }

  #interrupted(): Interrupted {
    const why = this.#cause instanceof Error ? this.#cause.message : "the connection was closed";
    return new Interrupted(why, { cause: this.#cause });
  }
}
