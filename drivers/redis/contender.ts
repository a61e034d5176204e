import type { Attempt, Grant } from "../../driver.ts";
import { isPassing } from "../../internal/passing.ts";
import { Hold, type Place } from "./hold.ts";
import { encode } from "./keys.ts";
import { ACQUIRE } from "./lock_scripts.ts";
import { Unconfirmed } from "./replication.ts";
import type { RedisSession } from "./session.ts";
import type { Caller } from "./wire.ts";

/** What an answer begins with that has a token. */
const GRANTED = "granted ";

/**
 * One attempt on its way to a grant. Whatever happens - a message, a timer, a connection that is back - it asks again,
 * which does no harm: the script knows the attempt.
 */
export class Contender implements Place, Caller {
  readonly tag: string;
  readonly mode: "x" | "r";
  readonly id: string;
  readonly #session: RedisSession;
  readonly #attempt: Attempt;
  readonly #result = Promise.withResolvers<Grant | undefined>();
  /** Our place in the queue, kept for the case that we are dropped from it while disconnected. */
  #arrival = "";
  #asking = false;
  #again = false;
  #doubted = false;
  /** Called when the caller gives up, once that is heeded. */
  #onAbort: (() => void) | undefined;
  #done = false;
  #stopTimer: (() => void) | undefined;

  constructor(session: RedisSession, attempt: Attempt) {
    this.#session = session;
    this.#attempt = attempt;
    this.tag = session.keys.lock(attempt);
    this.mode = attempt.mode === "shared" ? "r" : "x";
    this.id = encode(attempt.id);
  }

  /** Tries, and waits if that is wanted. */
  contend(): Promise<Grant | undefined> {
    // A message may come together with the first answer.
    this.#session.contenders.set(this.id, this);
    if (!this.#session.connection.isUp(this.tag)) this.#heed();
    // It never rejects.
    void this.#ask();
    return this.#result.promise;
  }

  /** Takes notice of a message. */
  hear(what: string, ms: number): void {
    if (what === "broken") this.#doubted = true;
    if (this.#asking) this.#again = true;
    else if (ms > 0) this.#sleep(ms);
    else void this.#ask();
  }

  /** Gives up without a word to the server. */
  end(reason: unknown): void {
    this.#finish();
    this.#result.reject(reason);
  }

  stopped(): boolean {
    return this.#done;
  }

  repeated(): void {
    this.#heed();
  }

  /** From now on an abort counts at once; before, an answer is so near that it is cheaper to wait for that. */
  #heed(): void {
    if (this.#onAbort || this.#done) return;
    const { signal } = this.#attempt;
    this.#onAbort = () => this.#abort();
    if (signal.aborted) this.#abort();
    else signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  #abort(): void {
    if (this.#done) return;
    this.#finish();
    const { clock, connection } = this.#session;
    const reject = () => this.#result.reject(this.#attempt.signal.reason);
    const stop = clock.after(connection.timeout / 2, reject);
    // The entry should be gone before the caller goes on; the withdrawal itself never rejects.
    void this.#session.withdraw(this.tag, this.mode, this.id).then(reject).finally(stop);
  }

  async #ask(): Promise<void> {
    this.#asking = true;
    this.#stopTimer?.();
    const { wait, value } = this.#attempt;
    let next = 0;
    try {
      do {
        this.#again = false;
        const args = [this.id, this.mode, wait ? "wait" : "try", this.#arrival, value];
        const answer = await this.#session.call(ACQUIRE, this.tag, args, this);
        if (!this.#done) next = this.#take(String(answer));
      } while (this.#again && !this.#done);
    } catch (error) {
      if (!this.#done) next = this.#fail(error);
    }
    this.#asking = false;
    // What was heard while a request failed is not to be lost.
    if (!this.#done) this.#sleep(this.#again ? 0 : next);
  }

  /** Understands an answer; says when to ask again. */
  #take(answer: string): number {
    if (this.#attempt.signal.aborted) this.#abort();
    else if (answer === "busy") this.#settle(undefined);
    else if (answer.startsWith(GRANTED)) this.#granted(BigInt(answer.slice(GRANTED.length)));
    else {
      const [, arrival = "", ms] = answer.split(" ");
      this.#arrival = arrival;
      this.#heed();
      return Number(ms) + 2;
    }
    return 0;
  }

  #granted(token: bigint): void {
    // Broken while the answer was on its way: it may be ours no more.
    if (this.#doubted) this.#again = !(this.#doubted = false);
    else this.#settle(new Hold(this.#session, this.#attempt, this, token));
  }

  /** Who is in the queue stays there: the connection will be back, or the session is lost. */
  #fail(error: unknown): number {
    const isUnconfirmed = error instanceof Error && error.cause instanceof Unconfirmed;
    if (this.#arrival !== "" && isPassing(error) && !isUnconfirmed) return this.#session.ttl / 3;
    this.end(error);
    if (isPassing(error)) void this.#session.withdraw(this.tag, this.mode, this.id);
    return 0;
  }

  #sleep(ms: number): void {
    this.#stopTimer?.();
    this.#stopTimer = this.#session.clock.after(ms, () => void this.#ask());
  }

  #settle(grant: Grant | undefined): void {
    this.#finish();
    this.#result.resolve(grant);
  }

  #finish(): void {
    this.#done = true;
    this.#stopTimer?.();
    this.#session.contenders.delete(this.id);
    if (this.#onAbort) this.#attempt.signal.removeEventListener("abort", this.#onAbort);
  }
}
