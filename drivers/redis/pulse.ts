import type { Hold } from "./hold.ts";
import type { Member } from "./member.ts";
import { LOST } from "./script.ts";
import type { RedisSession } from "./session.ts";
import { BEAT } from "./session_scripts.ts";

const HOUR = 3_600_000;

/** What is looked at, and whether it is renewed. */
interface Look {
  /** 0: only looks. */
  readonly ttl: number;
  /** Whether the keys of what is held are given another day. */
  readonly refresh: boolean;
  readonly holds: readonly Hold[];
  readonly members: readonly Member[];
}

/** Keeps a session alive wherever it is registered, and finds out what of it is gone. */
export class Pulse {
  readonly #session: RedisSession;
  #refreshed: number;
  #renewed: number;

  constructor(session: RedisSession) {
    this.#session = session;
    this.#refreshed = this.#renewed = session.clock.now();
  }

  /** When the last beat that was answered was sent. */
  get renewed(): number {
    return this.#renewed;
  }

  /** For how long the session lives at least, and whose it is. */
  entry(): string[] {
    const { ttl, clock, memberId } = this.#session;
    return [String(Math.max(Math.ceil(this.#renewed + ttl - clock.now()), 1)), memberId];
  }

  /** Renews the session, or only looks with a `ttl` of 0, and tells what is gone. */
  async look(ttl: number): Promise<void> {
    const session = this.#session;
    if (session.over) throw session.over;
    const holds = [...session.holds.values()].filter((hold) => hold.held);
    const members = [...session.members.values()].filter((member) => member.joined);
    const now = session.clock.now();
    const refresh = now - this.#refreshed > HOUR;
    const look = { ttl, refresh, holds, members };
    if (!session.footing.spread) await this.#lookAt(session.footing.home, look);
    else await this.#lookAround(look, now);
    if (session.over) throw session.over;
    if (refresh) this.#refreshed = now;
  }

  /** Looks at each tag by itself, all at once: requests to one server follow each other without waiting. */
  async #lookAround({ holds, members, ...how }: Look, now: number): Promise<void> {
    this.#forget();
    const { footing } = this.#session;
    const [held, joined] = [byTag(holds), byTag(members)];
    const seen = new Set<string>();
    const isNew = (tag: string) => !seen.has(footing.key(tag));
    // What was entered meanwhile is to live as long as all the rest.
    for (let tags = footing.tags; tags.length > 0; tags = footing.tags.filter(isNew)) {
      for (const tag of tags) seen.add(footing.key(tag));
      const looks = tags.map((tag) =>
        this.#lookAt(tag, { ...how, holds: held.get(tag) ?? [], members: joined.get(tag) ?? [] })
      );
      const failed = (await Promise.allSettled(looks)).find(({ status }) => status === "rejected");
      if (failed?.status === "rejected") throw failed.reason;
    }
    // Not a moment later: whoever enters from now on counts from here.
    if (how.ttl > 0) this.#renewed = now;
  }

  /** Lets go of tags at which nothing of the session is any more. */
  #forget(): void {
    const { holds, members, contenders, footing } = this.#session;
    const all = [...holds.values(), ...members.values(), ...contenders.values()];
    footing.keep(new Set(all.map(({ tag }) => tag)).add(footing.home));
  }

  async #lookAt(tag: string, { ttl, refresh, holds, members }: Look): Promise<void> {
    const args = [String(ttl), refresh ? "1" : "0", String(holds.length)];
    for (const hold of holds) args.push(hold.tag, hold.mode, hold.id);
    for (const member of members) args.push(member.tag, member.id, member.presence);
    const key = this.#session.footing.key(tag);
    const gone = await this.#session.connection.call(BEAT, key, args);
    if (gone === LOST) this.#session.loseAt(tag, key);
    if (!Array.isArray(gone)) return;
    for (let i = 0; i < gone.length; i += 2) {
      const place = Number(gone[i]) - 1;
      holds[place]?.lose(gone[i + 1] === 1);
      members[place - holds.length]?.lose("is gone");
    }
  }
}

/** By where they are. */
export function byTag<T extends { readonly tag: string }>(all: Iterable<T>): ReadonlyMap<string, T[]> {
  return Map.groupBy(all, ({ tag }) => tag);
}
