import { SessionLostError } from "../../core/errors.ts";
import type { Clock, OpenOptions, Session } from "../../driver.ts";
import type { Latch } from "../../internal/latch.ts";
import { isPassing } from "../../internal/passing.ts";
import { timeoutOf } from "../../internal/timeout.ts";
import type { Contender } from "./contender.ts";
import { Groups } from "./groups.ts";
import type { Hold } from "./hold.ts";
import { Footing } from "./footing.ts";
import { encode, Keys } from "./keys.ts";
import { RELEASE } from "./lock_scripts.ts";
import { Locks } from "./locks.ts";
import type { Member } from "./member.ts";
import { LOST, type Script } from "./script.ts";
import { byTag, Pulse } from "./pulse.ts";
import { END, OPEN } from "./session_scripts.ts";
import type { Caller, Site, Wire } from "./wire.ts";

/** Longer than this no session is granted: the keys of what it holds are given a day to live, renewed by its beats. */
const MAX_TTL = 6 * 3_600_000;
/** An attempt that was given up is remembered for the ttl, but not for longer than that, in ms. */
const MAX_MEMORY = 60_000;
/** So many memberships that were given back are remembered. */
const MAX_DEPARTED = 100;

/** A session: one key with a time to live, one connection, and the list of all that it has. */
export class RedisSession implements Session {
  readonly ttl: number;
  readonly ends = "expiry";
  readonly locks: Locks;
  readonly groups: Groups;
  /** Never used again, also not after a loss. */
  readonly sid: string = crypto.randomUUID();
  readonly keys: Keys;
  readonly footing: Footing;
  readonly clock: Clock;
  readonly memberId: string;
  readonly incarnation: string;
  readonly holds = new Map<string, Hold>();
  readonly contenders = new Map<string, Contender>();
  /** By presence. */
  readonly members = new Map<string, Member>();
  /** Memberships that were given back, the latest: a server that forgot its last moments may have them again. */
  readonly departed = new Set<Member>();
  /** The bells of all watches: rung when the connection is back and when the session ends. */
  readonly bells = new Set<Latch>();
  readonly connection: Wire;
  /** Set once the session is lost or closed; what all calls reject with from then on. */
  over: SessionLostError | undefined;
  readonly #options: OpenOptions;
  readonly #pulse: Pulse;
  readonly #lost = new AbortController();
  /** What has still to be given back, since a first try failed. */
  readonly #debts = new Map<string, () => Promise<unknown>>();
  #closing: Promise<void> | undefined;
  /** Cancels that it is disconnected without giving anything back. */
  #disconnectLater: () => void = () => {};

  private constructor(site: Site, clock: Clock, options: OpenOptions) {
    this.#options = options;
    this.clock = clock;
    this.ttl = Math.min(Math.max(Math.ceil(options.ttl), 1), MAX_TTL);
    this.memberId = options.memberId;
    this.incarnation = encode(options.incarnation);
    this.keys = new Keys(options.namespace);
    this.footing = new Footing(this.keys, this.sid, site.spread);
    this.#pulse = new Pulse(this);
    this.locks = new Locks(this);
    this.groups = new Groups(this);
    this.connection = site.connect({
      clock,
      timeout: timeoutOf(options, this.ttl),
      channel: this.keys.channel(this.sid),
      message: (text) => this.#message(text),
      suspended: () => options.note("suspended"),
      restored: (whole) => this.#restored(whole),
    });
  }

  /** Connects and begins a session. */
  static async open(site: Site, clock: Clock, options: OpenOptions): Promise<RedisSession> {
    options.signal.throwIfAborted();
    const session = new RedisSession(site, clock, options);
    const abort = () => session.connection.end(options.signal.reason);
    options.signal.addEventListener("abort", abort, { once: true });
    try {
      await session.connection.start();
      await session.connection.call(OPEN, session.#homeKey, [session.memberId, String(session.ttl)]);
      session.footing.enter(session.footing.home, session.#homeKey);
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
  async call(script: Script, tag: string, args: readonly string[], caller?: Caller): Promise<unknown> {
    for (;;) {
      if (this.over) throw this.over;
      const key = this.footing.key(tag);
      const isNew = script.enters && this.footing.isNew(tag);
      const entry = isNew ? this.#pulse.entry() : [];
      const { renewed } = this.#pulse;
      const answer = await this.connection.call(script, tag, [key, ...args, ...entry], caller);
      if (answer === LOST) this.loseAt(tag, key);
      if (this.over) throw this.over;
      // Who was lost there can begin anew; what it had is gone.
      if (answer === LOST && script.enters) continue;
      // Renewed meanwhile everywhere but here: it is to live as long here too.
      if (isNew && (renewed !== this.#pulse.renewed || this.footing.key(tag) !== key)) continue;
      if (isNew) this.footing.enter(tag, key);
      return answer;
    }
  }

  get #homeKey(): string {
    return this.footing.key(this.footing.home);
  }

  async beat(): Promise<void> {
    for (const debt of this.#debts.values()) void debt();
    await this.connection.confirm();
    await this.#pulse.look(this.ttl);
  }

  /** Gives something back, now and, if that fails, whenever there is a chance; settles after the first try. */
  async owe(id: string, pay: () => Promise<unknown>): Promise<void> {
    const debt = async () => {
      try {
        await pay();
        this.#debts.delete(id);
      } catch (error) {
        if (!isPassing(error)) this.#debts.delete(id);
      }
    };
    this.#debts.set(id, debt);
    await debt();
  }

  /** Notes that a membership was given back. */
  depart(member: Member): void {
    const [oldest] = this.departed.add(member);
    if (this.departed.size > MAX_DEPARTED && oldest) this.departed.delete(oldest);
  }

  /** Leaves the queue of a lock, or gives it back if it was granted meanwhile. */
  withdraw(tag: string, mode: string, id: string): Promise<void> {
    const late = String(Math.min(this.ttl, MAX_MEMORY));
    return this.owe(id, () => this.call(RELEASE, tag, [id, mode, late]));
  }

  #message(text: string): void {
    const [what = "", ms = "", tag = "", detail = "", id = ""] = text.split(" ");
    if (what === "gone") return this.members.get(id)?.lose(`was ${detail}`);
    if (what === "broken") this.holds.get(id)?.lose(true);
    const contender = this.contenders.get(id);
    if (contender) contender.hear(what, Number(ms));
    // Granted to an attempt that was given up, whose request arrived after its withdrawal; or held by one that was
    // given back, which the server forgot.
    else if ((what === "granted" || what === "doubt") && !this.holds.has(id)) {
      void this.withdraw(tag, detail, id);
    }
  }

  #restored(whole: boolean): void {
    if (whole) this.#options.note("reconnected");
    for (const contender of this.contenders.values()) contender.hear("restored", 0);
    for (const bell of this.bells) bell.ring();
    for (const debt of this.#debts.values()) void debt();
    for (const member of this.departed) void this.owe(member.presence, () => member.leave(this.connection));
    // What it cannot find out, the next beat will.
    this.#pulse.look(0).catch(() => {});
  }

  /** The session's key is gone, and what depended on it. */
  loseAt(tag: string, key: string): void {
    if (!this.footing.spread || tag === this.footing.home) return this.#lose();
    if (!this.footing.lose(tag, key)) return;
    for (const hold of byTag(this.holds.values()).get(tag) ?? []) hold.lose(false);
    for (const member of byTag(this.members.values()).get(tag) ?? []) member.lose("is gone");
    for (const contender of byTag(this.contenders.values()).get(tag) ?? []) contender.hear("lost", 0);
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

  /** Its keys expire; what waits may still leave its line. */
  abandon(): void {
    this.#disconnectLater = this.clock.after(this.connection.timeout, () => {
      if (!this.over) this.#end(`Session of "${this.memberId}" was abandoned`);
      void this.close();
    });
  }

  async #close(): Promise<void> {
    this.#disconnectLater();
    if (!this.over) {
      const leaving = this.#leave();
      this.#end(`Session of "${this.memberId}" was closed`);
      const late = Promise.withResolvers<void>();
      const stop = this.clock.after(this.connection.timeout, late.resolve);
      await Promise.race([leaving, late.promise]);
      stop();
    }
    this.connection.end(this.over ?? new SessionLostError("Session was closed", { driver: "redis" }));
  }

  /** Gives all back, in one go: what is sent last is done last. */
  async #leave(): Promise<void> {
    const locks = [...this.contenders.values(), ...this.holds.values()];
    const tags = new Set([this.footing.home, ...this.footing.tags]);
    await Promise.allSettled([
      ...[...this.#debts.values()].map((debt) => debt()),
      ...locks.map(({ tag, id, mode }) =>
        this.connection.call(RELEASE, tag, [this.footing.key(tag), id, mode])
      ),
      ...[...this.members.values()].map((member) => member.leave(this.connection)),
      ...[...tags].map((tag) => this.connection.call(END, this.footing.key(tag), [])),
    ]);
  }
}
