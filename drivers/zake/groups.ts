import {
  GroupAlreadyExistError,
  GroupNotCreatedError,
  GroupNotEmptyError,
  MemberAlreadyExistError,
  MemberNotJoinedError,
} from "../../core/errors.ts";
import type { GroupSnapshot, Joining, MemberRecord } from "../../driver.ts";
import type { Resident, World } from "./world.ts";

const driver = "zake";

interface Seat {
  readonly owner: Resident;
  readonly record: MemberRecord;
  /** Tells the client that it sits there no longer. */
  readonly removed: (reason: MemberNotJoinedError) => void;
}

/** The groups of a world. */
export class Groups {
  readonly #world: World;
  readonly #groups = new Map<
    string,
    {
      readonly namespace: string;
      readonly id: string;
      readonly life: string;
      readonly seats: Map<string, Seat>;
    }
  >();
  #made = 0;

  constructor(world: World) {
    this.#world = world;
  }

  list(namespace: string): string[] {
    return [...this.#groups.values()].filter((group) => group.namespace === namespace).map((group) =>
      group.id
    );
  }

  create(namespace: string, id: string): void {
    const key = groupKey(namespace, id);
    if (this.#groups.has(key)) {
      throw new GroupAlreadyExistError(`Cannot create group "${id}": it exists already`, { driver });
    }
    this.#groups.set(key, { namespace, id, life: `${++this.#made}`, seats: new Map() });
  }

  delete(namespace: string, id: string): void {
    if (this.#seats(namespace, id).size > 0) {
      throw new GroupNotEmptyError(`Cannot delete group "${id}": it has members`, { driver });
    }
    this.#groups.delete(groupKey(namespace, id));
    this.#world.tell(groupKey(namespace, id));
  }

  join(owner: Resident, id: string, { presence, data, replace }: Joining, removed: Seat["removed"]): void {
    const seats = this.#seats(owner.namespace, id);
    const taken = seats.get(owner.memberId);
    if (taken && !replace && taken.owner.incarnation !== owner.incarnation) {
      throw new MemberAlreadyExistError(
        `Cannot join group "${id}": "${owner.memberId}" is a member already`,
        { driver },
      );
    }
    taken?.removed(gone(id, owner.memberId, "another has taken its place"));
    const now = this.#world.clock.wall();
    seats.delete(owner.memberId); // So that a successor comes last.
    seats.set(owner.memberId, { owner, removed, record: { presence, data, joinedAt: now, updatedAt: now } });
    this.#world.tell(groupKey(owner.namespace, id));
  }

  update(namespace: string, id: string, member: string, data: string, presence?: string): void {
    const seats = this.#seats(namespace, id);
    const seat = this.#seat(seats, id, member, presence);
    const updatedAt = Math.max(seat.record.updatedAt, this.#world.clock.wall());
    seats.set(member, { ...seat, record: { ...seat.record, data, updatedAt } });
    this.#world.tell(groupKey(namespace, id));
  }

  remove(namespace: string, id: string, member: string, presence?: string): void {
    const seats = this.#seats(namespace, id);
    const seat = this.#seat(seats, id, member, presence);
    seats.delete(member);
    seat.removed(gone(id, member, "it was removed"));
    this.#world.tell(groupKey(namespace, id));
  }

  members(namespace: string, id: string): GroupSnapshot {
    const { life, seats } = this.#group(namespace, id);
    return { life, members: new Map([...seats].map(([member, seat]) => [member, seat.record])) };
  }

  /** Removes all that a session joined. */
  dismiss(owner: Resident): void {
    for (const [key, { seats }] of this.#groups) {
      for (const [member, seat] of seats) if (seat.owner === owner) seats.delete(member);
      this.#world.tell(key);
    }
  }

  #seats(namespace: string, id: string): Map<string, Seat> {
    return this.#group(namespace, id).seats;
  }

  #group(namespace: string, id: string): { readonly life: string; readonly seats: Map<string, Seat> } {
    const group = this.#groups.get(groupKey(namespace, id));
    if (group) return group;
    throw new GroupNotCreatedError(`Cannot find group "${id}": it was not created`, { driver });
  }

  #seat(seats: Map<string, Seat>, id: string, member: string, presence: string | undefined): Seat {
    const seat = seats.get(member);
    if (seat && (presence === undefined || seat.record.presence === presence)) return seat;
    throw new MemberNotJoinedError(`Cannot find member "${member}" in group "${id}": it has not joined`, {
      driver,
    });
  }
}

function gone(id: string, member: string, why: string): MemberNotJoinedError {
  return new MemberNotJoinedError(`Cannot keep "${member}" in group "${id}": ${why}`, { driver });
}

/** The key that a group's watchers use. */
export function groupKey(namespace: string, id: string): string {
  return JSON.stringify([namespace, "group", id]);
}
