import { MemberNotJoinedError } from "../../core/errors.ts";
import type { Presence } from "../../driver.ts";
import type { Wire } from "./wire.ts";
import { REMOVE } from "./group_scripts.ts";
import type { RedisSession } from "./session.ts";

/** A membership of this session. */
export class Member implements Presence {
  readonly id: string;
  readonly tag: string;
  /** As it stands in records. */
  readonly presence: string;
  /** Whether the server has confirmed it. */
  joined = false;
  /** While it is given back, nobody is told that it is gone. */
  leaving = false;
  readonly #group: string;
  readonly #session: RedisSession;
  readonly #lost = new AbortController();

  constructor(session: RedisSession, group: string, presence: string) {
    this.#session = session;
    this.#group = group;
    this.id = session.memberId;
    this.tag = session.keys.group(group);
    this.presence = presence;
    session.members.set(presence, this);
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Whether this is what a call for a group, a member and perhaps a presence means. */
  is(group: string, member: string, presence: string): boolean {
    return group === this.#group && member === this.id && (presence === "" || presence === this.presence);
  }

  /** Tells that it is gone. */
  lose(why: string): void {
    if (this.leaving || !this.#session.members.has(this.presence)) return;
    this.forget();
    const message = `Cannot stay member "${this.id}" of group "${this.#group}": it ${why}`;
    this.#lost.abort(new MemberNotJoinedError(message, { driver: "redis" }));
  }

  forget(): void {
    this.#session.members.delete(this.presence);
  }

  /** It was given back. */
  depart(): void {
    this.forget();
    this.#session.depart(this);
  }

  /** Removes what nobody wants, now or whenever there is a chance. */
  giveBack(): void {
    void this.#session.owe(this.presence, () => this.#session.call(REMOVE, this.tag, this.#removal()));
  }

  /** Leaves when the session is closed. */
  leave(connection: Wire): Promise<unknown> {
    const key = this.#session.footing.key(this.tag);
    return connection.call(REMOVE, this.tag, [key, ...this.#removal()]);
  }

  #removal(): string[] {
    return [crypto.randomUUID(), this.id, this.presence];
  }
}
