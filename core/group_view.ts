import type { GroupSnapshot, MemberRecord } from "../driver.ts";
import type { GroupEvent, Member } from "./api/group.ts";
import { decode } from "./capabilities.ts";
import type { View } from "./watch.ts";

/** One step from what was seen towards the latest snapshot. */
interface Step {
  readonly type: "joined" | "left" | "updated";
  readonly id: string;
  readonly record: MemberRecord;
}

/**
 * A group as last delivered, and the way from there to the latest snapshot. The way is found anew with each snapshot,
 * so what nobody has read yet becomes one event a member.
 */
export class GroupView<C> implements View<GroupSnapshot | undefined, GroupEvent<C>> {
  readonly members = new Map<string, Member<C>>();
  final = false;
  readonly #seen = new Map<string, MemberRecord>();
  #steps: Step[] = [];
  #at = 0;

  reset(snapshot: GroupSnapshot | undefined): void {
    this.update(snapshot);
    for (const step of this.#steps) this.#apply(step);
    this.#steps = [];
  }

  update(snapshot: GroupSnapshot | undefined): void {
    this.final = snapshot === undefined;
    this.#at = 0;
    this.#steps = [...this.#leaving(snapshot), ...snapshot ? this.#coming(snapshot) : []];
  }

  next(): { event: GroupEvent<C>; last: boolean } | undefined {
    const step = this.#steps[this.#at++];
    if (step) return { event: this.#apply(step), last: false };
    return this.final ? { event: { type: "deleted" }, last: true } : undefined;
  }

  /** A member that was replaced leaves before its successor joins. */
  #leaving(snapshot: GroupSnapshot | undefined): Step[] {
    return [...this.#seen].flatMap(([id, record]) =>
      snapshot?.members.get(id)?.presence === record.presence ? [] : [{ type: "left" as const, id, record }]
    );
  }

  #coming({ members }: GroupSnapshot): Step[] {
    return [...members].flatMap(([id, record]): Step[] => {
      const seen = this.#seen.get(id);
      if (seen?.presence !== record.presence) return [{ type: "joined", id, record }];
      if (seen.updatedAt === record.updatedAt && seen.data === record.data) return [];
      return [{ type: "updated", id, record }];
    });
  }

  #apply({ type, id, record }: Step): GroupEvent<C> {
    if (type === "left") {
      const member = this.members.get(id) ?? toWatched<C>(id, record);
      this.members.delete(id);
      this.#seen.delete(id);
      return { type, member };
    }
    const member = toWatched<C>(id, record);
    this.members.set(id, member);
    this.#seen.set(id, record);
    return { type, member };
  }
}

/** @throws {SerializationError} when the stored capabilities are no JSON */
export function toMember<C>(id: string, record: MemberRecord, driver: string): Member<C> {
  // The caller's type says what members of this group store.
  return build(id, record, decode(record.data, { member: id, driver }) as C);
}

/** A watch never throws: what is no JSON is shown as the text that it is. */
function toWatched<C>(id: string, record: MemberRecord): Member<C> {
  try {
    return build(id, record, JSON.parse(record.data) as C); // As in toMember().
  } catch {
    return build(id, record, record.data as C); // Foreign data has no better type.
  }
}

function build<C>(id: string, record: MemberRecord, capabilities: C): Member<C> {
  return { id, capabilities, joinedAt: new Date(record.joinedAt), updatedAt: new Date(record.updatedAt) };
}
