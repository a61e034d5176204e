import type { Clock } from "../../driver.ts";
import type { Keys } from "./keys.ts";
import type { Link } from "./link.ts";

/** How long it is believed that a session lives which was seen to, in ms. */
const TRUST = 900;

/** Which sessions live, as a session sees it on one server. */
export class Pulses {
  readonly #clock: Clock;
  readonly #keys: Keys;
  readonly #own: string;
  /** When they were seen last, the oldest first. */
  readonly #seen = new Map<string, number>();

  constructor(options: { readonly clock: Clock; readonly keys: Keys; readonly session: string }) {
    this.#clock = options.clock;
    this.#keys = options.keys;
    this.#own = options.session;
  }

  /** Those that live. */
  async living(link: Link, sessions: Iterable<string>): Promise<ReadonlySet<string>> {
    const all = [...new Set(sessions)];
    const alive = await Promise.all(all.map((session) => this.#isAlive(link, session)));
    return new Set(all.filter((_, i) => alive[i]));
  }

  async #isAlive(link: Link, session: string): Promise<boolean> {
    const seen = this.#seen.get(session) ?? -Infinity;
    if (session === this.#own || this.#clock.now() - seen < TRUST) return true;
    const { code } = await link.ask(`mg ${this.#keys.session(session)}`);
    this.#seen.delete(session);
    if (code === "HD") this.#note(session);
    return code === "HD";
  }

  #note(session: string): void {
    const now = this.#clock.now();
    for (const [old, at] of this.#seen) {
      if (now - at < TRUST) break;
      this.#seen.delete(old);
    }
    this.#seen.set(session, now);
  }
}
