import type { Presence } from "../driver.ts";
import type { Membership } from "./api/group.ts";
import { encode } from "./capabilities.ts";
import { type CoordError, GroupNotCreatedError, MemberNotJoinedError, SessionLostError } from "./errors.ts";
import type { GroupHost } from "./group.ts";
import type { Owned } from "./host.ts";
import { untilConfirmed } from "./retry.ts";
import type { Tenure } from "./tenure.ts";

/** A membership of this coordinator, on one session. */
export class JoinedMembership<C> implements Membership<C>, Owned {
  readonly group: string;
  readonly tenure: Tenure;
  readonly #host: GroupHost;
  readonly #presence: string;
  readonly #controller = new AbortController();
  readonly #forget: () => void;
  #disown: () => void = () => {};
  /** What happens to it from now on is no loss, unless it stays after all. */
  #leaving = false;
  /** What happened meanwhile. */
  #missed: CoordError | undefined;
  #over = false;

  constructor(host: GroupHost, tenure: Tenure, group: string, id: string, presence: Presence) {
    this.#host = host;
    this.tenure = tenure;
    this.group = group;
    this.#presence = id;
    this.#forget = host.adopt(this);
    const lost = () => this.lose(this.gone(presence.lost.reason));
    presence.lost.addEventListener("abort", lost, { once: true });
    if (presence.lost.aborted) lost();
    else this.#disown = tenure.own((reason) => this.lose(reason));
  }

  get signal(): AbortSignal {
    this.tenure.check();
    return this.#controller.signal;
  }

  /** Whether the membership is, as far as we know, the present one. */
  get live(): boolean {
    return !this.#over && this.tenure.check();
  }

  async update(capabilities: C): Promise<void> {
    const data = encode(capabilities, this.#host.driver);
    await this.#host.inOrder(this.group, async () => {
      if (!this.live) throw this.#notJoined();
      try {
        await this.tenure.run(({ groups }) =>
          groups.update(this.group, this.#host.memberId, data, this.#presence)
        );
      } catch (error) {
        if (!saysGone(error)) throw error;
        this.lose(this.gone(error));
        throw this.#notJoined();
      }
    });
  }

  async leave(): Promise<boolean> {
    try {
      return await this.#host.inOrder(this.group, () => this.#leave());
    } catch (error) {
      // The calls before it took all its time: it is removed nevertheless.
      if (!this.#leaving) void this.#leave().catch(() => {});
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A failure of the backend must not hide the body's result; the removal is retried.
    await this.leave().catch(() => {});
  }

  /** Leaves as part of the join that nobody wants any more, before the calls that were made after it. */
  async undo(): Promise<void> {
    // As in disposal.
    await this.#leave().catch(() => {});
  }

  async #leave(): Promise<boolean> {
    if (!this.live || this.#leaving) return false;
    this.#leaving = true;
    try {
      const left = await this.#remove();
      // It was taken away, and nobody had told.
      if (!left && this.tenure.check()) this.#controller.abort(this.gone());
      return left;
    } catch (error) {
      void untilConfirmed(this.tenure, () => this.#remove());
      throw error;
    } finally {
      this.#end();
    }
  }

  /** Runs a removal of this member that its own coordinator asked for: it is no loss. */
  async leaveBy(remove: () => Promise<void>): Promise<void> {
    this.#leaving = true;
    try {
      await remove();
      this.#end();
    } catch (error) {
      this.#leaving = false;
      if (saysGone(error)) this.lose(this.gone(error));
      else if (this.#missed) this.lose(this.#missed);
      throw error;
    }
  }

  /** Asks the backend whether it is the present one: it may have been replaced or evicted without a word. */
  async isPresent(): Promise<boolean> {
    const { groups } = this.tenure.session;
    const snapshot = await groups.members(this.group).catch((error) => {
      if (!saysGone(error)) throw error;
    });
    const present = snapshot?.members.get(this.#host.memberId)?.presence === this.#presence;
    if (!present) this.lose(this.gone());
    return present;
  }

  /** Why the signal fires when the member was replaced or evicted. */
  gone(cause?: unknown): MemberNotJoinedError {
    return new MemberNotJoinedError(
      `Cannot stay in group "${this.group}": the member was replaced or evicted`,
      {
        driver: this.#host.driver,
        cause,
      },
    );
  }

  /** The backend, the clocks or a successor say that the membership is over. */
  lose(reason: CoordError): void {
    if (this.#over) return;
    if (this.#leaving) return void (this.#missed ??= reason);
    this.#end();
    this.#controller.abort(reason);
  }

  retire(reason: CoordError): void {
    if (!this.#over) this.#controller.abort(reason);
  }

  async #remove(): Promise<boolean> {
    try {
      await this.tenure.session.groups.remove(this.group, this.#host.memberId, this.#presence);
      return true;
    } catch (error) {
      // What ends with its session is given back by it.
      if (saysGone(error) || error instanceof SessionLostError) return false;
      throw error;
    }
  }

  #end(): void {
    this.#over = true;
    this.#disown();
    this.#forget();
    if (this.#host.memberships.get(this.group) === this) this.#host.memberships.delete(this.group);
  }

  #notJoined(): MemberNotJoinedError {
    return new MemberNotJoinedError(
      `Cannot update the member of group "${this.group}": the membership is over`,
      {
        driver: this.#host.driver,
      },
    );
  }
}

/** Whether the backend says that the member is not there. */
function saysGone(error: unknown): boolean {
  return error instanceof MemberNotJoinedError || error instanceof GroupNotCreatedError;
}
