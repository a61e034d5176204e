import type { Entry, Target } from "../driver.ts";
import { sleep } from "../internal/clock.ts";
import { ask } from "./asking.ts";
import type { CampaignOptions, Election, Leader, Leadership, LeaderWatch } from "./api/election.ts";
import {
  AcquireTimeoutError,
  CapacityError,
  ConnectionError,
  LockLostError,
  SessionLostError,
} from "./errors.ts";
import type { Host } from "./host.ts";
import { HeldLease } from "./lease.ts";
import { checkDuration } from "./names.ts";
import { explain, take } from "./take.ts";
import { LevelWatch, type Read, type View } from "./watch.ts";

/** The first pause before a candidate whose session was lost stands again, in ms; it doubles up to a third of the ttl. */
const AGAIN = 50;

/** An election: a lock of its own kind whose holder can be watched. */
export class NamedElection implements Election {
  readonly id: string;
  readonly #host: Host;
  readonly #target: Target;

  constructor(host: Host, id: string) {
    this.#host = host;
    this.id = id;
    this.#target = { kind: "election", name: id };
  }

  async campaign(options: CampaignOptions = {}): Promise<Leadership> {
    return await this.#campaign(options);
  }

  async tryCampaign(options: CampaignOptions = {}): Promise<Leadership | undefined> {
    return await this.#take(options, false);
  }

  async lead(fn: (leadership: Leadership) => Promise<void>, options: CampaignOptions = {}): Promise<void> {
    for (let hasLed = false;; hasLed = true) {
      const leadership = await this.#campaignOn(options, hasLed);
      const stop = () => leadership.retire(options.signal?.reason);
      options.signal?.addEventListener("abort", stop, { once: true });
      if (options.signal?.aborted) stop();
      try {
        await fn(leadership);
        if (!leadership.lost) return options.signal?.throwIfAborted();
      } catch (error) {
        // What fn says of work that a loss cut short is no reason to stop leading.
        if (!leadership.lost) throw error;
      } finally {
        options.signal?.removeEventListener("abort", stop);
        await leadership[Symbol.asyncDispose]();
      }
      options.signal?.throwIfAborted();
    }
  }

  async leader(): Promise<Leader | undefined> {
    const entries = await ask(
      this.#host,
      (tenure) => tenure.run(({ locks }) => locks.entries(this.#target)),
    );
    return toLeader(entries.find((entry) => entry.token !== undefined));
  }

  async watch(options: { signal?: AbortSignal } = {}): Promise<LeaderWatch> {
    const view = new LeaderView();
    const read: Read<Entry | undefined> = (session, signal) => session.locks.watch(this.#target, signal);
    const watch = await LevelWatch.open(this.#host, view, read, options.signal);
    return new WatchedLeader(view, watch);
  }

  /** Campaigns, on one session after the other, while the backend comes and goes, or has no room for one that has led. */
  async #campaignOn(options: CampaignOptions, hasLed: boolean): Promise<WonLeadership> {
    for (let tries = 0;; tries++) {
      try {
        return await this.#campaign(options);
      } catch (error) {
        const isPassing = error instanceof SessionLostError || error instanceof ConnectionError ||
          (hasLed && error instanceof CapacityError);
        if (!isPassing) throw error;
        await sleep(
          this.#host.clock,
          Math.min(AGAIN * 2 ** tries, this.#host.timeout),
          AbortSignal.any([this.#host.closing, ...options.signal ? [options.signal] : []]),
        );
      }
    }
  }

  async #campaign(options: CampaignOptions): Promise<WonLeadership> {
    const until = this.#host.clock.now() + this.#host.timeout;
    const won = await this.#take(options, options.timeout !== 0);
    if (won) return won;
    const late = new AcquireTimeoutError(`Cannot be elected in "${this.id}" at once`, {
      driver: this.#host.driver,
    });
    throw await explain(this.#host, this.#target, late, until);
  }

  async #take(options: CampaignOptions, wait: boolean): Promise<WonLeadership | undefined> {
    const { value = "", signal, timeout } = options;
    if (timeout !== undefined) checkDuration("timeout", timeout);
    checkValue(value);
    const limit = wait ? timeout : undefined;
    const hold = await take(this.#host, this.#target, { mode: "exclusive", wait, value }, {
      signal,
      timeout: limit,
    });
    return hold && new WonLeadership(this.#host, this.id, hold);
  }
}

class WonLeadership extends HeldLease implements Leadership {
  async resign(): Promise<boolean> {
    return await this.release();
  }

  async proclaim(value: string): Promise<void> {
    checkValue(value);
    if (this.lost) throw this.lost;
    if (!await this.update(value)) {
      throw this.lost ??
        new LockLostError(`Cannot proclaim a value in "${this.name}": the leadership is over`, {
          driver: this.hold.tenure.driver,
        });
    }
  }
}

/** The leader as last delivered, and the latest that the backend told. */
class LeaderView implements View<Entry | undefined, Leader | undefined> {
  readonly final = false;
  leader: Leader | undefined;
  #latest: Leader | undefined;

  reset(entry: Entry | undefined): void {
    this.leader = this.#latest = toLeader(entry);
  }

  update(entry: Entry | undefined): void {
    this.#latest = toLeader(entry);
  }

  next(): { event: Leader | undefined; last: boolean } | undefined {
    const [seen, latest] = [this.leader, this.#latest];
    const same = seen?.token === latest?.token && seen?.value === latest?.value &&
      seen?.memberId === latest?.memberId;
    if (same) return undefined;
    this.leader = latest;
    return { event: latest, last: false };
  }
}

class WatchedLeader implements LeaderWatch {
  readonly #view: LeaderView;
  readonly #watch: LevelWatch<Entry | undefined, Leader | undefined>;

  constructor(view: LeaderView, watch: LevelWatch<Entry | undefined, Leader | undefined>) {
    this.#view = view;
    this.#watch = watch;
  }

  get leader(): Leader | undefined {
    return this.#view.leader;
  }

  get fresh(): boolean {
    return this.#watch.fresh;
  }

  [Symbol.asyncIterator](): AsyncIterator<Leader | undefined> {
    return this.#watch.iterate();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#watch.end();
  }
}

function toLeader(entry: Entry | undefined): Leader | undefined {
  if (entry?.token === undefined) return undefined;
  return { memberId: entry.memberId, token: entry.token, value: entry.value };
}

function checkValue(value: unknown): void {
  if (typeof value !== "string") throw new TypeError(`Cannot use value: want a string, got ${typeof value}`);
  if (!value.isWellFormed()) throw new TypeError("Cannot use value: it has half of a surrogate pair");
}
