import { MemberNotJoinedError } from "../../core/errors.ts";
import type { Presence } from "../../driver.ts";
import type { Host } from "./host.ts";

/** A membership of this session. */
export class TreeMember implements Presence {
  readonly group: string;
  readonly presence: string;
  readonly path: string;
  /** Whether the store has confirmed it, and nobody is giving it back. */
  held = false;
  readonly #session: Host;
  readonly #lost = new AbortController();

  constructor(session: Host, group: string, presence: string) {
    this.#session = session;
    this.group = group;
    this.presence = presence;
    this.path = session.store.groups.path(group, session.memberId);
    session.members.add(this);
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Tells that it is gone. */
  lose(why = "was replaced or removed"): void {
    if (!this.held) return;
    this.forget();
    const message = `Cannot stay member "${this.#session.memberId}" of group "${this.group}": it ${why}`;
    this.#lost.abort(new MemberNotJoinedError(message, { driver: this.#session.driver }));
  }

  forget(): void {
    this.held = false;
    this.#session.members.delete(this);
  }
}
