import { either } from "../../core/abort.ts";
import type { Clock } from "../../driver.ts";
import { sleep } from "../../internal/clock.ts";
import { type Bells, HOLDS } from "../../internal/sql/store.ts";
import type { Connection } from "./connection.ts";
import { Ear } from "./ear.ts";
import { EAR } from "./names.ts";
import { all, type Raw, sql } from "./sql.ts";

/** A topic that nobody waits for any more is forgotten after so many ms. */
const LINGER = 5_000;
/** A new connection is tried after so many ms, twice that, and so on up to the longest. */
const PAUSE = 100;
const LONGEST_PAUSE = 5_000;

/** What news are had with. */
export interface NewsOptions {
  readonly clock: Clock;
  readonly session: string;
  /** In ms. */
  readonly ttl: number;
  readonly bells: Bells;
  /** The session's own connection. */
  readonly main: Connection;
  /** Opens one more. */
  connect(): Promise<Connection>;
}

interface Topic {
  waiting: number;
  readonly listed: Promise<unknown>;
  cancel: () => void;
}

/**
 * What the server has no means for: to be told. Who listens has a row for each topic, and a connection that waits in the
 * server. Who rings counts the rows up, and ends the wait of those who have one.
 */
export class News {
  readonly #options: NewsOptions;
  readonly #topics = new Map<string, Topic>();
  /** Who could not be told, by what their rows have in common. */
  readonly #owed = new Map<string, Raw>();
  readonly #over = new AbortController();
  #entered = 0;
  #ear: Ear | undefined;
  #listening: Promise<void> | undefined;
  #place: { readonly space: string; readonly id: bigint } | undefined;

  constructor(options: NewsOptions) {
    this.#options = options;
  }

  /** Listens from now on to what concerns the session's holds; resolves when it hears, or has to try again. */
  listen(): Promise<void> {
    return this.#listening ??= new Promise((resolve) => void this.#listenOn(resolve));
  }

  /**
   * From now on it also hears of the end of the session that comes after this one in the ring, and that which comes
   * before, of the end of this one.
   */
  guard(space: string, id: bigint, before: string): void {
    this.#place = { space, id };
    if (this.#ear) this.#ear.place = this.#place;
    // Unlike a nudge, a ring is heard for sure, also by one who has just looked who comes next.
    this.ringHolds([this.#options.session, before]);
  }

  /** Tells what could not be told before, and lets the ear look again. */
  nudge(): void {
    const owed = [...this.#owed.values()];
    this.#owed.clear();
    for (const whose of owed) this.#tell(whose);
    if (this.#ear) void wake(this.#options.main, [this.#ear.id]);
  }

  /** Like `Bells.changed`, of a topic that others may ring. */
  async changed(topic: string, at: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const entry = this.#topics.get(topic) ?? this.#enter(topic);
    entry.cancel();
    entry.waiting++;
    try {
      await either(entry.listed, signal);
      await this.#options.bells.changed(topic, at, signal);
    } finally {
      if (--entry.waiting === 0 && !this.#over.signal.aborted) {
        entry.cancel = this.#options.clock.after(LINGER, () => this.#leave(topic, entry));
      }
    }
  }

  #enter(topic: string): Topic {
    const { bells, main, session } = this.#options;
    // Never a count that the same topic had before: that would look as if nothing had come between.
    const first = BigInt(++this.#entered) << 32n;
    const listed = main.insist(
      sql`insert into tooz_watch (topic, session, rung) values (${topic}, ${session}, ${first})
        on duplicate key update rung = ${first}`,
    ).then(
      // What was read before may have changed before it stood there.
      () => bells.ring(topic),
      // Who listens is told by the next beat, and enters it again.
      () => this.#forget(topic, entry),
    );
    const entry: Topic = { waiting: 0, listed, cancel: () => {} };
    this.#topics.set(topic, entry);
    return entry;
  }

  /** False: it was forgotten before. */
  #forget(topic: string, entry: Topic): boolean {
    return this.#topics.get(topic) === entry && this.#topics.delete(topic);
  }

  #leave(topic: string, entry: Topic): void {
    if (!this.#forget(topic, entry)) return;
    const { main, session } = this.#options;
    const leaving = main.ask(sql`delete from tooz_watch where topic = ${topic} and session = ${session}`);
    leaving.catch(() => {}); // It goes with the session.
  }

  /** Tells all who listen to a topic, in the background. */
  ring(topic: string): void {
    this.#tell(sql`topic = ${topic}`);
  }

  /** Tells sessions that a hold or a membership of theirs may be gone. */
  ringHolds(sessions: readonly string[]): void {
    if (sessions.length > 0) this.#tell(ofHolds(sessions));
  }

  #tell(whose: Raw): void {
    ringOn(this.#options.main, whose).catch(() => this.#owed.set(whose.text, whose));
  }

  destroy(): void {
    this.#over.abort();
    for (const { cancel } of this.#topics.values()) cancel();
    this.#ear?.destroy();
  }

  async #listenOn(ready: () => void): Promise<void> {
    const { clock, connect } = this.#options;
    const { signal } = this.#over;
    for (let pause = PAUSE; !signal.aborted;) {
      try {
        const ear = this.#ear = new Ear(await connect(), this.#options);
        if (signal.aborted) break;
        ear.place = this.#place;
        await ear.attend();
        ready();
        pause = PAUSE;
        for (;;) await ear.hear();
      } catch {
        // Until it hears again, the beats look.
        ready();
        this.#ear?.destroy();
        this.#ear = undefined;
        await sleep(clock, pause * (1 + Math.random()) / 2, signal).catch(() => {}); // It is over.
        pause = Math.min(pause * 2, LONGEST_PAUSE);
      }
    }
    this.#ear?.destroy();
  }
}

/** The rows by which sessions are told that a hold or a membership of theirs may be gone. */
function ofHolds(sessions: readonly string[]): Raw {
  return sql`topic = ${HOLDS} and session in (${sessions})`;
}

/** Counts up, and then ends the wait of those who have not heard it. */
export async function ringOn(connection: Connection, whose: Raw): Promise<void> {
  const [, listeners] = await connection.insist(all(
    sql`update tooz_watch set rung = rung + 1 where ${whose}`,
    sql`select distinct is_used_lock(concat(${EAR}, session)) from tooz_watch where ${whose}`,
  ));
  await wake(connection, (listeners?.rows ?? []).map(([id]) => id));
}

/** Ends what these connections wait for. */
export async function wake(
  connection: Connection,
  ids: readonly (string | number | null | undefined)[],
): Promise<void> {
  for (const id of ids) {
    // One that is gone, or another user's, is not to be told.
    if (id) await connection.ask(sql`kill query ${BigInt(id)}`).catch(() => {});
  }
}
