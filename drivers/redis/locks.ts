import type { Attempt, Entry, Grant, LockStore, Target } from "../../driver.ts";
import { Contender } from "./contender.ts";
import { decode } from "./keys.ts";
import { BREAK } from "./lock_scripts.ts";
import { ENTRIES, WATCH } from "./lock_views.ts";
import type { RedisSession } from "./session.ts";
import { type Level, levels } from "./watch.ts";

/** How long nobody may look before the server forgets that somebody watches: a day; so once an hour is enough. */
const HOUR = 3_600_000;

/** The locks of a session. */
export class Locks implements LockStore {
  readonly #session: RedisSession;

  constructor(session: RedisSession) {
    this.#session = session;
  }

  acquire(attempt: Attempt): Promise<Grant | undefined> {
    if (attempt.signal.aborted) return Promise.reject(attempt.signal.reason);
    if (this.#session.over) return Promise.reject(this.#session.over);
    return new Contender(this.#session, attempt).contend();
  }

  async entries(target: Target): Promise<Entry[]> {
    const parts = strings(await this.#session.call(ENTRIES, this.#session.keys.lock(target), []));
    const entries: Entry[] = [];
    for (let i = 0; i < parts.length; i += 6) {
      const [memberId = "", attempt = "", mode, token, since, value = ""] = parts.slice(i, i + 6);
      entries.push({
        memberId,
        attempt: decode(attempt),
        mode: mode === "r" ? "shared" : "exclusive",
        value,
        ...(token ? { token: BigInt(token), since: Number(since) } : {}),
      });
    }
    return entries;
  }

  watch(target: Target, signal: AbortSignal): AsyncIterable<Entry | undefined> {
    const tag = this.#session.keys.lock(target);
    let before = "";
    const look = async (rung: boolean): Promise<Level<Entry | undefined>> => {
      const parts = strings(await this.#session.call(WATCH, tag, []));
      const seen = parts.slice(0, 5).join(" ");
      const same = !rung && seen === before;
      before = seen;
      const [memberId, attempt = "", token = "", since, value = "", left] = parts;
      if (memberId === undefined) return { value: undefined, next: HOUR, same };
      const entry: Entry = {
        memberId,
        attempt: decode(attempt),
        mode: "exclusive",
        token: BigInt(token),
        since: Number(since),
        value,
      };
      return { value: entry, next: Number(left) + 2, same };
    };
    return levels(this.#session, tag, signal, look);
  }

  async break(target: Target): Promise<boolean> {
    const tag = this.#session.keys.lock(target);
    return await this.#session.call(BREAK, tag, [crypto.randomUUID()]) === 1;
  }
}

/** The parts of an answer that is a list. */
export function strings(answer: unknown): string[] {
  return Array.isArray(answer) ? answer.map(String) : [];
}
