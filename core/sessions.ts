import type { Clock, Opener } from "../driver.ts";
import { sleep } from "../internal/clock.ts";
import { timeoutOf } from "../internal/timeout.ts";
import { either } from "./abort.ts";
import { Deadlines } from "./deadlines.ts";
import type { State } from "./api/coordinator.ts";
import { type ClosedError, ConnectionError } from "./errors.ts";
import { Feed } from "./feed.ts";
import { stamp } from "./lease_clock.ts";
import type { Settings } from "./options.ts";
import { Tenure } from "./tenure.ts";

/** States that a slow reader of `states()` keeps. */
const KEPT_STATES = 16;

/** The first pause between two tries to open a new session, in ms; it doubles up to a third of the ttl. */
const FIRST_PAUSE = 50;

/** The sessions of one coordinator, one after the other: a lost one is replaced until the coordinator is closed. */
export class Sessions {
  /** Of all calls on them. */
  readonly deadlines: Deadlines;
  readonly #opener: Opener;
  readonly #clock: Clock;
  readonly #settings: Settings;
  readonly #incarnation = crypto.randomUUID();
  readonly #closing = new AbortController();
  readonly #states = new Feed<State>(KEPT_STATES);
  #state: State = "lost";
  #tenure: Tenure | undefined;
  #next = Promise.withResolvers<Tenure>();
  /** Those that are lost, and may be there at the backend for some time; with what ends the watch over them. */
  readonly #former = new Map<Tenure, () => void>();
  /** Before the next try to open a session, in ms; 0: none yet since one that lasted. */
  #pause = 0;
  /** Why the last try to open a session failed. */
  #failure: unknown;

  constructor(opener: Opener, settings: Settings) {
    this.#opener = opener;
    this.#clock = opener.clock;
    this.#settings = settings;
    this.deadlines = new Deadlines(opener.clock, opener.driver, () => this.#tenure?.unanswered());
    this.#next.promise.catch(() => {}); // Nobody may be waiting when it is closed.
  }

  /** Fires with a `ClosedError` when closing begins. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** By the clocks now. */
  get state(): State {
    this.#tenure?.check();
    return this.#state;
  }

  /** The present session, or the last one. */
  get last(): Tenure {
    this.#tenure?.check();
    // There is a first session before anyone has the coordinator.
    return this.#tenure as Tenure;
  }

  states(): AsyncIterable<State> {
    return this.#states.subscribe(() => [this.state]);
  }

  /** Opens the first session; rejects if that fails. */
  async open(signal: AbortSignal | undefined): Promise<void> {
    try {
      await this.#open(signal ? AbortSignal.any([signal, this.closing]) : this.closing);
    } catch (error) {
      this.#closing.abort(error);
      throw error;
    }
  }

  /** The present session, if there is one that lives and closing has not begun. */
  get present(): Tenure | undefined {
    return !this.closing.aborted && this.#tenure?.check() ? this.#tenure : undefined;
  }

  /**
   * The present session; waits for a new one until then by the clock, by default for the deadline of an operation.
   * @throws {ClosedError | ConnectionError}
   */
  async tenure(until: number = this.#clock.now() + this.last.timeout): Promise<Tenure> {
    this.closing.throwIfAborted();
    if (this.#tenure?.check()) return this.#tenure;
    const timeout = Math.max(until - this.#clock.now(), 0);
    const late = new AbortController();
    const cancel = this.#clock.after(timeout, () => late.abort(this.#unreachable(timeout)));
    try {
      return await either(this.#next.promise, late.signal);
    } finally {
      cancel();
    }
  }

  /** The present session; waits for a new one until `signal` aborts. */
  async nextTenure(signal: AbortSignal): Promise<Tenure> {
    if (this.#tenure?.check()) return this.#tenure;
    return await either(this.#next.promise, signal);
  }

  /** No session is opened any more; who waits for one or on one is turned away. */
  retire(reason: ClosedError): void {
    this.#closing.abort(reason);
    this.#next.reject(reason);
    this.#tenure?.gates.close(reason);
  }

  /** Gives back what is left on the session, and ends it. */
  async close(reason: ClosedError): Promise<void> {
    for (const forget of this.#former.values()) forget();
    const tenures = [...this.#former.keys(), ...this.#tenure ? [this.#tenure] : []];
    const until = this.#clock.now() + this.last.timeout;
    const closed = Promise.all(tenures.map((tenure) => tenure.close(reason)));
    await this.deadlines.inTime(closed, until).catch(() => {}); // A driver that takes longer goes on alone.
    this.deadlines.close();
    this.#become("closed");
    this.#states.close();
  }

  async #open(signal: AbortSignal): Promise<void> {
    const opened = stamp(this.#clock);
    const { margin, heartbeat, ...settings } = this.#settings;
    const mine: { tenure?: Tenure } = {};
    const note = (note: "suspended" | "reconnected") => {
      if (mine.tenure === undefined || mine.tenure !== this.#tenure || mine.tenure.signal.aborted) return;
      this.#become(note === "suspended" ? "suspended" : "connected");
    };
    const session = await this.#opener.open({
      ...settings,
      incarnation: this.#incarnation,
      signal,
      note,
    });
    if (signal.aborted) {
      await session.close();
      throw signal.reason;
    }
    const { driver } = this.#opener;
    const tenure = new Tenure(session, {
      driver,
      clock: this.#clock,
      opened,
      margin,
      heartbeat,
      timeout: timeoutOf(settings, session.ttl),
      deadlines: this.deadlines,
      answered: (isAnswered) => note(isAnswered ? "reconnected" : "suspended"),
    });
    this.#tenure = mine.tenure = tenure;
    this.#become("connected");
    this.#next.resolve(tenure);
    tenure.own(() => this.#lost(tenure));
  }

  #lost(tenure: Tenure): void {
    if (this.closing.aborted) return;
    this.#former.set(tenure, this.#clock.after(tenure.session.ttl, () => this.#former.delete(tenure)));
    // One that dies young, again and again, is not to be asked for without a rest.
    if (this.#clock.now() - tenure.since > tenure.session.ttl / 3) this.#pause = 0;
    void this.#replace(tenure.session.ttl / 3);
  }

  /** Opens session after session until one lives. */
  async #replace(longest: number): Promise<void> {
    this.#next = Promise.withResolvers<Tenure>();
    this.#next.promise.catch(() => {}); // Nobody may be waiting when it is closed.
    this.#become("lost");
    while (!this.closing.aborted) {
      const pause = this.#pause;
      this.#pause = Math.min(Math.max(pause * 2, FIRST_PAUSE), longest);
      try {
        if (pause > 0) await sleep(this.#clock, pause * (0.75 + Math.random() / 2), this.closing);
        return await this.#open(this.closing);
      } catch (failure) {
        // The backend is away, or still refuses; whoever calls meanwhile is told so after the deadline.
        this.#failure = failure;
      }
    }
  }

  #become(state: State): void {
    if (state === this.#state || this.#state === "closed") return;
    this.#state = state;
    this.#states.publish(state);
  }

  #unreachable(timeout: number): ConnectionError {
    return new ConnectionError(`Cannot reach the backend: no new session within ${Math.round(timeout)} ms`, {
      driver: this.#opener.driver,
      cause: this.#failure,
    });
  }
}
