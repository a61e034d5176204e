import { either } from "../../core/abort.ts";
import type { Clock, Target } from "../../driver.ts";
import type { Access } from "../../internal/access.ts";
import { Interrupted, type Store, type StoreOptions } from "../../internal/tree/store.ts";
import { authorityOf } from "../../internal/url.ts";
import { MemcachedGroups } from "./groups.ts";
import { Keys, place } from "./keys.ts";
import { MemcachedLine } from "./line.ts";
import type { Server } from "./link.ts";
import { Roll, type RollEntry } from "./roll.ts";
import { Seat, secondsOf } from "./seat.ts";

/** So many requests at once. */
const LANES = 64;
/** A number of seconds from a month on is a date to the server. */
const LONGEST_TTL = 29 * 24 * 3_600_000;

/** Where the servers are, and who asks. */
export interface Endpoint {
  readonly servers: readonly Server[];
  readonly access: Access;
}

/** A session: an item on each server that it uses, and records that name it. */
export class MemcachedStore implements Store {
  readonly ttl: number;
  readonly lanes = LANES;
  readonly clock: Clock;
  readonly keys: Keys;
  readonly session: string = crypto.randomUUID();
  readonly groups: MemcachedGroups;
  readonly #servers: readonly string[];
  readonly #seats: readonly Seat[];
  readonly #roll = new Roll();
  /** The latest renewal. */
  #renewed: Promise<void> = Promise.resolve();

  private constructor({ servers, access }: Endpoint, options: StoreOptions) {
    this.ttl = Math.min(options.ttl, LONGEST_TTL);
    this.clock = options.clock;
    this.keys = new Keys(options.namespace);
    this.#servers = servers.map(authorityOf);
    this.#seats = servers.map((server) =>
      new Seat(server, {
        clock: options.clock,
        access,
        keys: this.keys,
        session: this.session,
        seconds: secondsOf(this.ttl),
        limit: options.limit,
        isOnly: servers.length === 1,
        broken: options.broken,
      })
    );
    this.groups = new MemcachedGroups(this);
  }

  /**
   * Opens a session on the first server that can.
   * @throws {Interrupted} when none can be reached
   */
  static async open(endpoint: Endpoint, options: StoreOptions): Promise<MemcachedStore> {
    const store = new MemcachedStore(endpoint, options);
    const late = new AbortController();
    const stop = options.clock.after(
      options.limit * 1.5,
      () => late.abort(new Interrupted("no answer in time")),
    );
    try {
      await either(store.#openAny(), AbortSignal.any([options.signal, late.signal]));
      options.signal.throwIfAborted();
      return store;
    } catch (error) {
      store.destroy();
      throw error;
    } finally {
      stop();
    }
  }

  /** The other servers follow as they are needed: one that is away is missed only by those who need it. */
  async #openAny(): Promise<void> {
    const start = Math.floor(Math.random() * this.#seats.length);
    const seats = [...this.#seats.slice(start), ...this.#seats.slice(0, start)];
    for (const [i, seat] of seats.entries()) {
      try {
        return void await seat.open();
      } catch (error) {
        if (i === seats.length - 1) throw error;
      }
    }
  }

  get location(): string {
    return this.#servers.join(",");
  }

  /** The server that has a key. */
  seat(key: string): Seat {
    // There is at least one server.
    return this.#seats[place(key, this.#servers)] as Seat;
  }

  async renew(): Promise<void> {
    const renewal = this.#renew();
    this.#renewed = renewal.catch(() => {}); // Who asks for it hears of that.
    await renewal;
  }

  async #renew(): Promise<void> {
    const mail = await Promise.all(this.#seats.filter(({ isTaken }) => isTaken).map((seat) => seat.renew()));
    this.#roll.suspect(mail.flat());
  }

  async owned(paths: readonly string[]): Promise<ReadonlySet<string>> {
    // It brings word of what others have taken away.
    await this.#renewed;
    return await this.#roll.check(paths);
  }

  /** Something of the session stands in a record. */
  note(path: string, entry: RollEntry): void {
    this.#roll.add(path, entry);
  }

  /** Something was taken away from a session, which learns it at its next heartbeat. */
  async tell(seat: Seat, session: string, path: string): Promise<void> {
    if (session === this.session) this.#roll.suspect([path]);
    else await seat.tell(session, path);
  }

  forget(path: string): void {
    this.#roll.delete(path);
  }

  async end(): Promise<void> {
    const removals = this.#roll.entries().map(({ remove }) => remove());
    await Promise.allSettled([...removals, ...this.#seats.map((seat) => seat.end())]);
  }

  destroy(): void {
    for (const seat of this.#seats) seat.destroy();
  }

  line(target: Target): MemcachedLine {
    return new MemcachedLine(this, target);
  }
}
