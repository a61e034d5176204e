import type { Attempt } from "../../driver.ts";
import type { Context } from "./context.ts";
import { readHeader } from "./header.ts";
import type { Latch } from "../latch.ts";
import type { LockDir } from "./lock_dir.ts";
import { leaders, type Ticket } from "./queue.ts";
import { formatRecord } from "./record.ts";
import { clearQueued, type Hold, take } from "./take.ts";

/** How long the first in the queue waits for a ring before it looks: nobody rings for a killed holder. */
const FIRST_LOOK = 10;

/** What that grows to while nothing happens. */
const SLOW_LOOK = 30;

/** How long the second waits before it looks after the first. Each further place adds a half. */
const OTHER_LOOK = 50;

const LONGEST_LOOK = 5000;

/** A lock that its first waiter leaves free for so many ms is taken by the next: that waiter is stopped. */
const STALLED = 1000;

/** What a later waiter saw when it found the lock free. */
interface Sight {
  readonly at: number;
  readonly head: string;
  readonly counter: bigint | undefined;
}

/** One waiting attempt: a ticket in the queue, and the rings and looks that make it a hold. */
export class Wait {
  readonly #context: Context;
  readonly #dir: LockDir;
  readonly #attempt: Attempt;
  readonly #latch: Latch;
  readonly #since: number;
  #ticket: Ticket;
  #place = -1;
  #head = "";
  #isLeader = false;
  #sight: Sight | undefined;

  constructor(context: Context, dir: LockDir, options: { attempt: Attempt; latch: Latch }) {
    this.#context = context;
    this.#dir = dir;
    this.#attempt = options.attempt;
    this.#latch = options.latch;
    this.#since = context.clock.now();
    this.#ticket = this.#join();
  }

  /** Resolves when the lock was taken; rejects, leaving nothing behind, when the attempt or the session ended. */
  async run(): Promise<Hold> {
    let wasRung = false;
    try {
      for (;;) {
        this.#context.ended.throwIfAborted();
        this.#attempt.signal.throwIfAborted();
        const hold = await this.#look();
        if (hold) return this.#leave(hold, wasRung);
        wasRung = await this.#latch.wait(this.#context.clock, this.#pause());
      }
    } catch (error) {
      this.#abandon();
      throw error;
    }
  }

  #join(): Ticket {
    const { sid: session, memberId } = this.#context;
    const { id, mode, value } = this.#attempt;
    const record = formatRecord({ session, memberId, attempt: id, mode, value });
    return this.#dir.queue.add(mode, { session, unique: this.#context.unique(), record });
  }

  async #look(): Promise<Hold | undefined> {
    // Who is first stays it, and looks often.
    if (this.#place !== 0) this.#findPlace();
    const isTurn = this.#isLeader || this.#isStalled();
    return isTurn
      ? await take(this.#context, this.#dir, { attempt: this.#attempt, ticket: this.#ticket })
      : undefined;
  }

  #findPlace(): void {
    for (;;) {
      const tickets = this.#dir.queue.list();
      const place = tickets.findIndex(({ file }) => file === this.#ticket.file);
      if (place < 0) {
        // Somebody removed the directory, so that the order was lost for everybody.
        this.#ticket = this.#join();
        continue;
      }
      const before = tickets[place - 1];
      if (before && !this.#context.isAlive(before.session)) {
        this.#dir.queue.remove(before);
        continue;
      }
      this.#place = place;
      this.#head = tickets[0]?.file ?? "";
      this.#isLeader = leaders(tickets).some(({ file }) => file === this.#ticket.file);
      return;
    }
  }

  /** Whether the lock was found free, with nothing granted in between, at two looks that are far enough apart. */
  #isStalled(): boolean {
    // A look locks for a moment, which is in the way of the first: not without need.
    if (this.#context.clock.now() - this.#since < STALLED / 2) return false;
    const sight = this.#see();
    const before = this.#sight;
    if (!sight || sight.head !== before?.head || sight.counter !== before.counter) {
      this.#sight = sight;
      return false;
    }
    return sight.at - before.at > STALLED;
  }

  /** Undefined: the lock is held. Free is what a writer could have: readers may hold it for long before a live one. */
  #see(): Sight | undefined {
    const file = this.#dir.open();
    const isFree = file.tryLock(true);
    const counter = isFree ? readHeader(file).header?.counter : undefined;
    if (isFree) file.unlock();
    if (this.#dir.isCurrent(file)) this.#dir.keep(file);
    else file.close();
    return isFree ? { at: this.#context.clock.now(), head: this.#head, counter } : undefined;
  }

  #pause(): number {
    const waited = this.#context.clock.now() - this.#since;
    const base = this.#place === 0
      ? Math.min(SLOW_LOOK, FIRST_LOOK + waited / 50)
      : Math.min(LONGEST_LOOK, OTHER_LOOK * (1 + this.#place) / 2);
    return base * (0.75 + Math.random() / 2);
  }

  #leave(hold: Hold, wasRung: boolean): Hold {
    this.#dir.queue.remove(this.#ticket);
    if (this.#attempt.mode === "exclusive") {
      clearQueued(this.#dir, hold.file);
    } else if (!wasRung) {
      // Nobody rang, so the last holder was killed, and the readers beside us do not know.
      this.#dir.ringLeaders();
    }
    return hold;
  }

  #abandon(): void {
    try {
      // Those behind may have waited for us alone.
      if (this.#dir.queue.remove(this.#ticket)) this.#dir.ringLeaders();
    } catch {
      // The ticket of a session that ends is not heeded.
    }
  }
}
