import { ConnectionError, SessionLostError } from "../../core/errors.ts";
import type { Clock, OpenOptions, Session } from "../../driver.ts";
import type { Latch } from "../../internal/latch.ts";
import { type Caller, Connection } from "./connection.ts";
import type { Contender } from "./contender.ts";
import { Groups } from "./groups.ts";
import type { Hold } from "./hold.ts";
import { encode, Keys } from "./keys.ts";
import type { Endpoint } from "./link.ts";
import { RELEASE } from "./lock_scripts.ts";
import { Locks } from "./locks.ts";
import type { Member } from "./member.ts";
import { LOST, type Script } from "./script.ts";
import { BEAT, END, OPEN } from "./session_scripts.ts";

/** Longer than this no session is granted: the keys of what it holds are given a day to live, renewed by its beats. */
const MAX_TTL = 6 * 3_600_000;
const HOUR = 3_600_000;

/** A session: one key with a time to live, one connection, and the list of all that it has. */
export class RedisSession implements Session {
  readonly ttl: number;
  readonly expires = true;
  readonly locks: Locks;
  readonly groups: Groups;
  /** Never used again, also not after a loss. */
  readonly sid: string = crypto.randomUUID();
  readonly keys: Keys;
  /** Its key on the server. */
  readonly key: string;
  readonly clock: Clock;
  readonly memberId: string;
  readonly incarnation: string;
  readonly holds = new Map<string, Hold>();
  readonly contenders = new Map<string, Contender>();
  /** By presence. */
  readonly members = new Map<string, Member>();
  /** The bells of all watches: rung when the connection is back and when the session ends. */
  readonly bells = new Set<Latch>();
  readonly connection: Connection;
  /** Set once the session is lost or closed; what all calls reject with from then on. */
  over: SessionLostError | undefined;
  readonly #options: OpenOptions;
  readonly #lost = new AbortController();
  /** What has still to be given back, since a first try failed. */
  readonly #debts = new Map<string, () => Promise<unknown>>();
  #refreshed: number;
  #closing: Promise<void> | undefined;

  private constructor(endpoint: Endpoint, clock: Clock, options: OpenOptions) {
    this.#options = options;
    this.clock = clock;
    this.#refreshed = clock.now();
    this.ttl = Math.min(Math.max(Math.ceil(options.ttl), 1), MAX_TTL);
    this.memberId = options.memberId;
    this.incarnation = encode(options.incarnation);
    this.keys = new Keys(options.namespace);
    this.key = this.keys.session(this.sid);
    this.locks = new Locks(this);
    this.groups = new Groups(this);
    this.connection = new Connection(endpoint, {
      clock,
      timeout: options.timeout,
      channel: this.keys.channel(this.sid),
      message: (text) => this.#message(text),
      suspended: () => options.note("suspended"),
      restored: () => this.#restored(),
    });
  }

  /** Connects and begins a session. */
  static async open(endpoint: Endpoint, clock: Clock, options: OpenOptions): Promise<RedisSession> {
    options.signal.throwIfAborted();
    const session = new RedisSession(endpoint, clock, options);
    const abort = () => session.connection.end(options.signal.reason);
    options.signal.addEventListener("abort", abort, { once: true });
    try {
      await session.connection.start();
      await session.connection.call(OPEN, session.key, [session.memberId, String(session.ttl)]);
      options.signal.throwIfAborted();
      return session;
    } catch (error) {
      session.connection.end(
        new SessionLostError("Cannot use session: it was never opened", { driver: "redis" }),
      );
      options.signal.throwIfAborted();
      throw error;
    } finally {
      options.signal.removeEventListener("abort", abort);
    }
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Runs a script on behalf of the session. */
  async call(script: Script, key: string, args: readonly string[], caller?: Caller): Promise<unknown> {
    if (this.over) throw this.over;
    const answer = await this.connection.call(script, key, args, caller);
    if (answer === LOST) this.#lose();
    if (this.over) throw this.over;
    return answer;
  }

  async beat(): Promise<void> {
    for (const debt of this.#debts.values()) void debt();
    await this.#look(this.ttl);
  }

  /** Renews the session, or only looks with a `ttl` of 0, and tells what is gone. */
  async #look(ttl: number): Promise<void> {
    const holds = [...this.holds.values()].filter((hold) => hold.held);
    const members = [...this.members.values()].filter((member) => member.joined);
    const now = this.clock.now();
    const refresh = now - this.#refreshed > HOUR;
    const args = [String(ttl), refresh ? "1" : "0", String(holds.length)];
    for (const hold of holds) args.push(hold.tag, hold.mode, hold.id);
    for (const member of members) args.push(member.tag, member.id, member.presence);
    const gone = await this.call(BEAT, this.key, args);
    if (refresh) this.#refreshed = now;
    if (!Array.isArray(gone)) return;
    for (let i = 0; i < gone.length; i += 2) {
      const place = Number(gone[i]) - 1;
      holds[place]?.lose(gone[i + 1] === 1);
      members[place - holds.length]?.lose("is gone");
    }
  }

  /** Gives something back, now and, if that fails, whenever there is a chance; settles after the first try. */
  async owe(id: string, pay: () => Promise<unknown>): Promise<void> {
    const debt = async () => {
      try {
        await pay();
        this.#debts.delete(id);
      } catch (error) {
        if (!(error instanceof ConnectionError)) this.#debts.delete(id);
      }
    };
    this.#debts.set(id, debt);
    await debt();
  }

  /** Leaves the queue of a lock, or gives it back if it was granted meanwhile. */
  withdraw(tag: string, mode: string, id: string): Promise<void> {
    return this.owe(id, () => this.call(RELEASE, tag, [this.key, id, mode]));
  }

  #message(text: string): void {
    const [what = "", ms = "", tag = "", detail = "", id = ""] = text.split(" ");
    if (what === "gone") return this.members.get(id)?.lose(`was ${detail}`);
    if (what === "broken") this.holds.get(id)?.lose(true);
    const contender = this.contenders.get(id);
    if (contender) contender.hear(what, Number(ms));
    // Granted to an attempt that was given up, whose request arrived after its withdrawal.
    else if (what === "granted" && !this.holds.has(id)) void this.withdraw(tag, detail, id);
  }

  #restored(): void {
    this.#options.note("reconnected");
    for (const contender of this.contenders.values()) contender.hear("restored", 0);
    for (const bell of this.bells) bell.ring();
    for (const debt of this.#debts.values()) void debt();
    // What it cannot find out, the next beat will.
    this.#look(0).catch(() => {});
  }

  #lose(): void {
    if (this.over) return;
    this.#end(`Session of "${this.memberId}" was lost: its key on the server expired or was deleted`);
    this.#lost.abort(this.over);
  }

  /** From here on nothing of the session works; tells all that wait. */
  #end(message: string): void {
    const over = this.over = new SessionLostError(message, { driver: "redis" });
    for (const contender of [...this.contenders.values()]) contender.end(over);
    for (const bell of this.bells) bell.ring();
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    if (!this.over) {
      const leaving = this.#leave();
      this.#end(`Session of "${this.memberId}" was closed`);
      const late = Promise.withResolvers<void>();
      const stop = this.clock.after(this.#options.timeout, late.resolve);
      await Promise.race([leaving, late.promise]);
      stop();
    }
    this.connection.end(this.over ?? new SessionLostError("Session was closed", { driver: "redis" }));
  }

  /** Gives all back, in one go: what is sent last is done last. */
  async #leave(): Promise<void> {
    const locks = [...this.contenders.values(), ...this.holds.values()];
    await Promise.allSettled([
      ...[...this.#debts.values()].map((debt) => debt()),
      ...locks.map(({ tag, id, mode }) => this.connection.call(RELEASE, tag, [this.key, id, mode])),
      ...[...this.members.values()].map((member) => member.leave(this.connection)),
      this.connection.call(END, this.key, []),
    ]);
  }
}
