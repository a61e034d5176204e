import { CoordError, type SessionLostError } from "../../core/errors.ts";
import type { Clock } from "../../driver.ts";
import { reasonOf } from "../reason.ts";
import { failureOf } from "./failure.ts";
import { Interrupted } from "./store.ts";

/** An answer that came while the program itself stood still is read within so many ms after its deadline. */
const GRACE = 20;

/** What part of a call's time is left to what keeps the session, while S does not answer. */
const HURRY = 1 / 4;

/** What requests are made with. */
export interface TurnsOptions {
  readonly clock: Clock;
  readonly driver: string;
  /** Where the server is, for errors. */
  readonly location: string;
  /** The deadline of one call, in ms. */
  readonly timeout: number;
  /** No answer came in time; the connection may still be good. */
  suspended(): void;
  /** The answer came after all. */
  restored(): void;
}

interface Request {
  readonly send: () => Promise<unknown>;
  readonly answered: (answer: unknown) => void;
  readonly failed: (error: unknown) => void;
  /** By the clock, when its deadline began to run. */
  since: number;
}

/** The requests on S, one after the other; the one under way may come to its answer after its caller has gone. */
export class Turns {
  /** Set once the session is lost or closed; what all calls reject with from then on. */
  over: SessionLostError | undefined;
  readonly #options: TurnsOptions;
  readonly #ending = new AbortController();
  #queue: Request[] = [];
  #current: Request | undefined;
  /** Settles when the one under way has its answer. */
  #idle: Promise<void> = Promise.resolve();
  #isSuspended = false;
  /** One timer for all: it looks who is late. */
  #stopWatch: (() => void) | undefined;

  constructor(options: TurnsOptions) {
    this.#options = options;
  }

  /** Fires when the session is over. */
  get ending(): AbortSignal {
    return this.#ending.signal;
  }

  /** What S says is pushed; where it breaks, the session is over, so that nobody has to be told apart. */
  suspend(): void {}

  /**
   * Makes a request when those before it have their answers.
   * @param late is given an answer that came after the deadline
   * @throws {ConnectionError} after the time-out, or when the server refuses
   * @throws {CapacityError} when the server has no room for it
   */
  run<T>(send: (again: boolean) => Promise<T>, late: (answer: T) => void = () => {}): Promise<T> {
    return this.#enter(() => send(false), late, (request) => this.#queue.push(request));
  }

  /**
   * The same before all that waits to be sent: what keeps the session. While there is no answer to another request it
   * has little time, so that who asks again and again learns soon enough that the session is not kept.
   */
  runFirst<T>(send: () => Promise<T>): Promise<T> {
    const answer = this.#enter(send, () => {}, (request) => {
      if (this.#isSuspended) request.since -= this.#options.timeout * (1 - HURRY);
      this.#queue.unshift(request);
    });
    if (this.#isSuspended) this.#watchAnew();
    return answer;
  }

  /** Ends all calls, now and later. `broken`: why those under way can know nothing of their outcome. */
  end(over: SessionLostError, broken?: unknown): void {
    this.over = over;
    const error = broken === undefined ? over : this.#error(broken);
    for (const { failed } of this.#queue.splice(0)) failed(error);
    this.#stopWatch?.();
    this.#ending.abort(over);
  }

  /** The very last request, once the one under way has its answer. */
  async last(send: () => Promise<void>): Promise<void> {
    await this.#idle;
    await send();
  }

  #enter<T>(
    send: () => Promise<T>,
    late: (answer: T) => void,
    queue: (request: Request) => void,
  ): Promise<T> {
    if (this.over) return Promise.reject(this.over);
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    let isOver = false;
    queue({
      send,
      // It is what `send` has answered.
      answered: (answer) => isOver ? late(answer as T) : resolve(answer as T),
      failed: (error) => {
        isOver = true;
        reject(error);
      },
      since: this.#options.clock.now(),
    });
    if (!this.#current) this.#pump();
    else if (this.#isSuspended) this.#watch();
    return promise;
  }

  #pump(): void {
    const next = this.#current = this.#queue.shift();
    if (!next) return;
    // While answers come, it is counted from the sending: many calls at once only wait for each other.
    next.since = this.#options.clock.now();
    this.#idle = this.#send(next);
    this.#watch();
  }

  async #send(request: Request): Promise<void> {
    try {
      const answer = await request.send();
      if (this.#isSuspended) this.#restore();
      request.answered(answer);
    } catch (error) {
      if (this.#isSuspended && !(error instanceof Interrupted)) this.#restore();
      request.failed(this.#error(error));
    }
    this.#pump();
  }

  #restore(): void {
    if (this.over) return;
    this.#isSuspended = false;
    this.#options.restored();
  }

  #watchAnew(): void {
    this.#stopWatch?.();
    this.#stopWatch = undefined;
    this.#watch();
  }

  /** Looks again when the next deadline may have passed. */
  #watch(): void {
    if (this.#stopWatch || this.over) return;
    const { clock, timeout } = this.#options;
    const [first = this.#current] = this.#isSuspended ? this.#queue : [];
    if (!first || (this.#isSuspended && first === this.#current)) return;
    this.#stopWatch = clock.after(first.since + timeout - clock.now(), () => {
      this.#stopWatch = clock.after(GRACE, () => {
        this.#stopWatch = undefined;
        this.#expire(clock.now() - timeout - GRACE);
        this.#watch();
      });
    });
  }

  /** Turns away those whose deadline began to run so early. */
  #expire(before: number): void {
    const current = this.#current;
    if (!this.#isSuspended) {
      if (!current || current.since > before) return;
      this.#isSuspended = true;
      current.failed(this.#error(undefined));
      this.#options.suspended();
    }
    const late = this.#queue.filter(({ since }) => since <= before);
    this.#queue = this.#queue.filter(({ since }) => since > before);
    for (const { failed } of late) failed(this.#error(undefined));
  }

  #error(cause: unknown): CoordError {
    if (cause instanceof CoordError) return cause;
    const { driver, location, timeout } = this.#options;
    const why = cause instanceof Error ? reasonOf(cause) : `no answer within ${timeout} ms`;
    const message = `Cannot use ${driver} at "${location}": ${why}`;
    return failureOf(cause instanceof Interrupted ? cause.cause ?? cause : cause, { message, driver });
  }
}
