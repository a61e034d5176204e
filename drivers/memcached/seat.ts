import { CapacityError } from "../../core/errors.ts";
import type { Clock } from "../../driver.ts";
import type { Access } from "../../internal/access.ts";
import { sleep } from "../../internal/clock.ts";
import { Interrupted, SessionGone } from "../../internal/tree/store.ts";
import { authorityOf } from "../../internal/url.ts";
import type { Keys } from "./keys.ts";
import { Link, type Server } from "./link.ts";
import { Pulses } from "./pulses.ts";
import { type Change, type Codec, type Known, type Outcome, Shelf } from "./shelf.ts";

/** What a session takes a seat with. */
export interface SeatOptions {
  readonly clock: Clock;
  readonly access: Access;
  readonly keys: Keys;
  /** Never used again, also not after a loss. */
  readonly session: string;
  /** How long the session's item lives without renewal, in seconds. */
  readonly seconds: number;
  /** The deadline of one request, in ms. */
  readonly limit: number;
  /** There is no other server: while this one is away, nothing can be done. */
  readonly isOnly: boolean;
  broken(cause: unknown): void;
}

/** An item that lives a second longer than it must: the server's clock ticks in seconds. */
export function secondsOf(ttl: number): number {
  return Math.ceil(ttl / 1000) + 1;
}

/**
 * A server counts its uptime from 2. One that started only now might, in the second in which the one before it died,
 * give tokens that are not greater than those.
 */
const GROWN_UP = 4;
const YOUTH_PAUSE = 100;

/** A session on one server: an item with a time to live, without which all that the session has there is nobody's. */
export class Seat {
  /** `host:port` */
  readonly location: string;
  readonly #server: Server;
  readonly #options: SeatOptions;
  readonly #shelf: Shelf;
  readonly #key: string;
  readonly #pulses: Pulses;
  #link: Link | undefined;
  #opening: Promise<Link> | undefined;
  #isTaken = false;
  #isOver = false;
  /** How much of what others wrote to the session was read. */
  #read = 0;

  constructor(server: Server, options: SeatOptions) {
    this.location = authorityOf(server);
    this.#server = server;
    this.#options = options;
    this.#pulses = new Pulses(options);
    this.#shelf = new Shelf(options.clock, options.limit);
    this.#key = options.keys.session(options.session);
  }

  /** Whether the session has an item here, so that it lives no longer than that. */
  get isTaken(): boolean {
    return this.#isTaken;
  }

  /** Connects, and takes the seat if that was not done. */
  open(): Promise<Link> {
    if (this.#link) return Promise.resolve(this.#link);
    return this.#opening ??= this.#try().finally(() => this.#opening = undefined);
  }

  async #try(): Promise<Link> {
    try {
      return await this.#open();
    } catch (error) {
      const { isOnly } = this.#options;
      if (isOnly || this.#isTaken || !(error instanceof Interrupted)) throw error;
      if (error.cause instanceof CapacityError) throw error.cause;
      // Nothing of the session is there, so that it lives on without this server.
      throw new Error(`server "${this.location}" cannot be used: ${error.message}`, { cause: error });
    }
  }

  async #open(): Promise<Link> {
    if (this.#isOver) throw new Interrupted("the session is over");
    const { clock, access, limit, isOnly } = this.#options;
    const link = await Link.open(this.#server, {
      clock,
      access,
      // Where there are others, their turn must come in time.
      limit: isOnly ? limit : limit / 2,
      closed: (broken, cause) => this.#closed(broken, cause),
    });
    try {
      if (this.#isTaken) await this.#confirm(link);
      else await this.#take(link);
      if (this.#isOver || !link.isOpen) throw new Interrupted("the connection broke");
      this.#isTaken = true;
      return this.#link = link;
    } catch (error) {
      link.destroy(error);
      throw error;
    }
  }

  /** Nothing is done on a new connection before this: the server may have lost all. */
  async #confirm(link: Link): Promise<void> {
    const { code } = await link.ask(`mg ${this.#key}`);
    if (code !== "HD") throw new SessionGone("the server does not know the session");
  }

  async #take(link: Link): Promise<void> {
    const { clock, limit, seconds } = this.#options;
    const until = clock.now() + limit;
    while (Number((await link.stats()).get("uptime")) < GROWN_UP) {
      if (clock.now() + YOUTH_PAUSE > until) throw new Interrupted("the server has started only now");
      await sleep(clock, YOUTH_PAUSE);
    }
    const { code } = await link.ask(`ms ${this.#key} 0 T${seconds}`, "");
    if (code !== "HD") throw new Error(`the server answered "${code}" to a session`);
  }

  #closed(link: Link, cause: unknown): void {
    if (this.#link !== link) return;
    this.#link = undefined;
    if (!this.#isOver) this.#options.broken(cause);
  }

  /** Renews the session; answers what others have written to it. */
  async renew(): Promise<string[]> {
    const link = this.#link ?? await this.open();
    const { code, value } = await link.ask(`mg ${this.#key} v T${this.#options.seconds}`);
    if (code !== "VA") throw new SessionGone("the server does not know the session");
    const mail = value.slice(this.#read);
    this.#read = value.length;
    return mail.split("\n").filter((line) => line !== "");
  }

  /** Tells another session something, which it reads when it is renewed. */
  async tell(session: string, text: string): Promise<void> {
    const link = this.#link ?? await this.open();
    const line = `${text}\n`;
    await link.ask(`ms ${this.#options.keys.session(session)} ${line.length} MA`, line);
  }

  /** Which of the sessions live. Those that were seen within the last second are not asked about. */
  async living(sessions: Iterable<string>): Promise<ReadonlySet<string>> {
    return await this.#pulses.living(this.#link ?? await this.open(), sessions);
  }

  read<T>(key: string, codec: Codec<T>): Promise<Known<T> | undefined> {
    return this.#use((link) => this.#shelf.read(link, key, codec));
  }

  /** Reads a record that has hardly changed. */
  peek<T>(key: string, codec: Codec<T>): Promise<Known<T> | undefined> {
    return this.#use((link) => this.#shelf.peek(link, key, codec));
  }

  change<T>(
    key: string,
    codec: Codec<T>,
    make: (known: Known<T> | undefined) => Change<T> | undefined,
  ): Promise<Outcome<T>> {
    return this.#use((link) => this.#shelf.change(link, key, codec, make));
  }

  #use<T>(ask: (link: Link) => Promise<T>): Promise<T> {
    return this.#link ? ask(this.#link) : this.open().then(ask);
  }

  /**
   * Makes the first record of a name, if there is none, for a session that lives; answers the server's time in seconds.
   */
  async begin<T>(key: string, codec: Codec<T>, record: T): Promise<number> {
    const link = this.#link ?? await this.open();
    // In this order: all may have been flushed since the session was renewed.
    const births = this.#options.keys.births(key);
    const [, , stats] = await Promise.all([
      this.#confirm(link),
      // One that begins anew, since it was evicted, must not come by the same numbers.
      link.ask(`ma ${births} N0 J${this.#options.clock.wall()} v`),
      link.stats(),
      this.#shelf.add(link, key, codec, record),
    ]);
    return Number(stats.get("time"));
  }

  /** How many lines of a district were made, in a number of no meaning but that it changes. */
  async births(district: string): Promise<string> {
    return (await (this.#link ?? await this.open()).ask(`mg ${district} v`)).value;
  }

  /** Gives the seat up: from here on all that the session has here is nobody's. */
  async end(): Promise<void> {
    if (this.#isTaken) await (this.#link ?? await this.open()).ask(`md ${this.#key}`);
  }

  /** Disconnects for good. */
  destroy(): void {
    this.#isOver = true;
    this.#link?.destroy(new Error("the session is over"));
  }
}
