import type { Clock, Session } from "../driver.ts";
import { sleep } from "../internal/clock.ts";
import type { Deadlines } from "./deadlines.ts";
import { ConnectionError, CoordError, SessionLostError } from "./errors.ts";
import { GateKeeper } from "./gate.ts";
import { LeaseClock, type Stamp, stamp } from "./lease_clock.ts";

/** A beat that failed is tried again this soon, in ms, while the deadline nears. */
const RETRY = 50;

/** What a tenure is made of. */
export interface TenureOptions {
  readonly driver: string;
  readonly clock: Clock;
  /** When the session's opening was sent. */
  readonly opened: Stamp;
  readonly margin: number | undefined;
  readonly heartbeat: "auto" | "manual";
  /** The deadline of one operation, in ms. */
  readonly timeout: number;
  readonly deadlines: Deadlines;
  /** Called when a beat had no answer, and when one has again. */
  answered(isAnswered: boolean): void;
}

/** One session as core sees it: its deadline, its heart, and everything that ends with it. */
export class Tenure {
  readonly session: Session;
  readonly clock: Clock;
  readonly driver: string;
  readonly gates: GateKeeper = new GateKeeper(this);
  /** Between two beats, in ms. */
  readonly interval: number;
  /** The deadline of one operation, in ms. */
  readonly timeout: number;
  /** When it began, by the clock. */
  readonly since: number;
  readonly #deadlines: Deadlines;
  readonly #answered: (isAnswered: boolean) => void;
  #isAnswered = true;
  readonly #lease: LeaseClock;
  /** From the deadline to the end of the ttl, in ms. */
  readonly #margin: number;
  /** Whether there is a deadline, which alone ends the session, without any answer. */
  readonly #strict: boolean;
  /** Whether that deadline is what ends what is held; else it only bounds how late we hear of it. */
  readonly #measured: boolean;
  /** What no other tenure's attempts begin with, of a UUID. */
  readonly #mark = crypto.randomUUID().slice(0, -12);
  #attempts = 0;
  readonly #ended = new AbortController();
  readonly #owned = new Set<(reason: CoordError) => void>();
  #cancelDeadline: () => void = () => {};

  constructor(session: Session, options: TenureOptions) {
    const margin = marginOf(session.ttl, options.margin);
    this.#margin = margin;
    this.session = session;
    this.clock = options.clock;
    this.driver = options.driver;
    this.timeout = options.timeout;
    this.since = options.clock.now();
    this.#deadlines = options.deadlines;
    this.#answered = options.answered;
    this.interval = Math.min(session.ttl / 3, (session.ttl - margin) / 2);
    this.#strict = session.ends !== "kernel" || options.heartbeat === "manual";
    this.#measured = session.ends === "expiry" || options.heartbeat === "manual";
    this.#lease = new LeaseClock(options.clock, session.ttl - margin, options.opened);
    const lost = () => {
      if (this.signal.aborted) return;
      this.#end(session.lost.reason);
      void session.close();
    };
    session.lost.addEventListener("abort", lost, { once: true });
    if (session.lost.aborted) lost();
    else if (this.#strict) this.#armDeadline();
    if (options.heartbeat === "auto") void this.#beatOn();
  }

  /** Fires when the session is over, with the reason. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  /** The id of a new attempt, unique for ever; a random one each would take longer. */
  attemptId(): string {
    return this.#mark + (++this.#attempts).toString(16).padStart(12, "0");
  }

  /** Reads the clocks; true while the session is certain to live. */
  check(): boolean {
    if (!this.signal.aborted && this.#strict && this.#lease.left() <= 0) this.#giveUp();
    return !this.signal.aborted;
  }

  /** Ms for which what is held on the session is certain. */
  remaining(): number {
    return this.#measured ? Math.max(this.#lease.left(), 0) : Infinity;
  }

  /** Calls `lost` once when the session is over; the returned function forgets it. */
  own(lost: (reason: CoordError) => void): () => void {
    if (this.signal.aborted) lost(this.#reason());
    else this.#owned.add(lost);
    return () => this.#owned.delete(lost);
  }

  /** Runs a call on the session; where the end of the tenure cut it short, that says why. */
  async run<T>(call: (session: Session) => Promise<T>): Promise<T> {
    try {
      return await call(this.session);
    } catch (error) {
      throw error instanceof SessionLostError && this.signal.aborted ? this.signal.reason : error;
    }
  }

  /** Settles as the call does, or rejects soon after the deadline, by default that of an operation from now on. */
  inTime<T>(call: Promise<T>, until: number = this.clock.now() + this.timeout): Promise<T> {
    return this.#deadlines.inTime(call, until);
  }

  /** Renews the session; resolves with the ms until the next beat is due. */
  async beat(): Promise<number> {
    const sent = stamp(this.clock);
    try {
      await this.inTime(this.run((session) => session.beat()));
      this.#hear(true);
    } catch (error) {
      if (error instanceof ConnectionError) this.#hear(false);
      throw error;
    }
    // After a stall the answer comes too late: what the clocks ended is not revived.
    if (this.check()) this.#lease.renew(sent);
    this.signal.throwIfAborted();
    return Math.max(this.interval - (this.clock.now() - sent.now), 0);
  }

  /** Ends the tenure; resolves once everything was given back, also of a session that was abandoned before. */
  async close(reason: CoordError): Promise<void> {
    this.#end(reason);
    await this.session.close();
  }

  /** What it owned is told first, then those who wait are turned away, whatever the driver does. */
  #end(reason: CoordError): void {
    if (this.signal.aborted) return;
    this.#cancelDeadline();
    this.#ended.abort(reason);
    for (const lost of this.#owned) lost(reason);
    this.#owned.clear();
    this.gates.close(reason);
  }

  /** The deadline has passed: what is held stays so for as long as the backend would let it, the margin at least. */
  #giveUp(): void {
    const until = this.clock.now() + Math.max(this.session.ttl - this.#lease.elapsed(), this.#margin);
    this.#end(this.#expired());
    this.session.abandon(until);
  }

  /** A call had no answer within its deadline. */
  unanswered(): void {
    if (!this.signal.aborted) this.#hear(false);
  }

  /** Where there is no lasting connection, only this tells that the backend is away. */
  #hear(isAnswered: boolean): void {
    if (isAnswered !== this.#isAnswered) this.#answered(isAnswered);
    this.#isAnswered = isAnswered;
  }

  async #beatOn(): Promise<void> {
    let pause = Math.max(this.interval - this.#lease.elapsed(), 0);
    while (!this.signal.aborted) {
      try {
        await sleep(this.clock, pause, this.signal);
        pause = await this.beat();
      } catch {
        // The tenure ended, or the answer is unknown: then only the deadline decides.
        pause = this.#strict ? Math.min(RETRY, this.interval) : this.interval;
      }
    }
  }

  #armDeadline(): void {
    this.#cancelDeadline = this.clock.after(this.#lease.left(), () => {
      if (this.check()) this.#armDeadline();
    });
  }

  #reason(): CoordError {
    // Only end() aborts this signal, and only with a CoordError.
    return this.signal.reason as CoordError;
  }

  #expired(): SessionLostError {
    return new SessionLostError(
      `Cannot keep the session: the last good heartbeat was sent ${Math.round(this.#lease.elapsed())} ms ago`,
      { driver: this.driver },
    );
  }
}

/** A margin that leaves nothing of what was granted is half of it. */
function marginOf(ttl: number, asked: number = ttl / 5): number {
  return asked < ttl ? asked : ttl / 2;
}
