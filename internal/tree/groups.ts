import {
  GroupAlreadyExistError,
  GroupNotCreatedError,
  GroupNotEmptyError,
  MemberAlreadyExistError,
  MemberNotJoinedError,
} from "../../core/errors.ts";
import type { GroupSnapshot, GroupStore, Joining, MemberRecord, Presence } from "../../driver.ts";
import { isPassing } from "../passing.ts";
import type { Host } from "./host.ts";
import { type Level, levels } from "./levels.ts";
import { TreeMember } from "./member.ts";
import { decodeMember, encodeMember, type MemberText } from "./records.ts";
import type { GroupView, Seen } from "./store.ts";

/** A member as it was read, understood. */
interface SeenMember extends MemberText {
  readonly seen: Seen;
}

/** The groups of a namespace: every change is made on the condition that nothing else has changed since it was read. */
export class TreeGroups implements GroupStore {
  readonly #session: Host;

  constructor(session: Host) {
    this.#session = session;
  }

  get #store() {
    return this.#session.store.groups;
  }

  list(): Promise<string[]> {
    return this.#session.calls.run(() => this.#store.list());
  }

  async create(id: string): Promise<void> {
    const by = crypto.randomUUID();
    const created = await this.#session.calls.run(async (again) =>
      await this.#store.create(id, by) || (again && (await this.#store.read(id, ""))?.by === by)
    );
    if (!created) {
      throw new GroupAlreadyExistError(`Cannot create group "${id}": it exists already`, this.#from);
    }
  }

  async delete(id: string): Promise<void> {
    /** What a try without an answer may have deleted. */
    let tried: string | undefined;
    for (;;) {
      const view = await this.#session.calls.run(() => this.#store.read(id));
      // Gone: it was that try which deleted it, also where somebody has made another group since.
      if (tried !== undefined && view?.by !== tried) return;
      if (!view) throw this.#absent(id);
      if (view.members.size > 0) {
        throw new GroupNotEmptyError(`Cannot delete group "${id}": it has members`, this.#from);
      }
      const deleted = await this.#session.calls.run((again) => {
        if (again) tried = view.by;
        return this.#store.delete(id, view);
      });
      if (deleted) return;
    }
  }

  async join(id: string, joining: Joining): Promise<Presence> {
    const member = new TreeMember(this.#session, id, joining.presence);
    try {
      await this.#put(id, joining);
    } catch (error) {
      member.forget();
      // A try before the one that was refused may have been carried out.
      if (isPassing(error)) {
        void this.#session.owe(() => this.#undo(member), Promise.resolve(false));
      }
      throw error;
    }
    for (const other of this.#session.members) {
      if (other !== member && other.path === member.path) other.lose();
    }
    member.held = true;
    return member;
  }

  async #put(id: string, { presence, data, replace }: Joining): Promise<void> {
    const { memberId, incarnation, calls } = this.#session;
    await this.#session.appear();
    const now = this.#session.wall();
    const value = encodeMember({ presence, incarnation, joinedAt: now, updatedAt: now, data });
    let seen: Seen | undefined;
    // Where the answer to a first try was lost, it meets itself, which is of its own incarnation, and is replaced.
    while (!await calls.run(() => this.#store.put(id, memberId, value, seen))) {
      seen = (await this.#read(id, memberId)).members.get(memberId);
      if (seen && decodeMember(seen.value)?.incarnation !== incarnation && !replace) {
        const message = `Cannot join group "${id}": a live member is named "${memberId}"`;
        throw new MemberAlreadyExistError(message, this.#from);
      }
    }
  }

  /** Removes a membership that nobody wants; whether there was one. */
  async #undo({ group, presence }: TreeMember): Promise<boolean> {
    const { memberId } = this.#session;
    const seen = (await this.#store.read(group, memberId))?.members.get(memberId);
    if (!seen || decodeMember(seen.value)?.presence !== presence) return false;
    return await this.#store.remove(group, memberId, seen);
  }

  async update(id: string, member: string, data: string, presence?: string): Promise<void> {
    for (;;) {
      const before = await this.#require(id, member, presence);
      const updatedAt = Math.max(before.updatedAt, this.#session.wall());
      const value = encodeMember({ ...before, data, updatedAt });
      if (await this.#session.calls.run(() => this.#store.amend(id, member, value, before.seen))) return;
    }
  }

  async remove(id: string, member: string, presence?: string): Promise<void> {
    const ours = [...this.#session.members].filter((one) =>
      one.path === this.#store.path(id, member) && (presence === undefined || one.presence === presence)
    );
    // Who leaves by its presence knows that it does; a member removed by its name is told, whoever removed it.
    const isLeaving = presence !== undefined;
    if (isLeaving) { for (const one of ours) one.held = false; }
    const end = (one: TreeMember) => isLeaving ? one.forget() : one.lose();
    try {
      await this.#remove(id, member, presence);
    } catch (error) {
      if (error instanceof MemberNotJoinedError) ours.forEach(end);
      else if (isLeaving) { for (const one of ours) one.held = true; }
      throw error;
    }
    ours.forEach(end);
  }

  async #remove(id: string, member: string, presence: string | undefined): Promise<void> {
    /** What a try without an answer may have removed. */
    let tried: string | undefined;
    for (;;) {
      const before = await this.#find(id, member);
      // Gone: it was that try which removed it, also where the member has joined anew.
      if (tried !== undefined && before?.presence !== tried) return;
      const isThere = before && (presence === undefined || before.presence === presence);
      if (!isThere) throw this.#stranger(id, member);
      const removed = await this.#session.calls.run((again) => {
        if (again) tried = before.presence;
        return this.#store.remove(id, member, before.seen);
      });
      if (removed) return;
    }
  }

  async members(id: string): Promise<GroupSnapshot> {
    return toSnapshot(await this.#read(id));
  }

  watch(id: string, signal: AbortSignal): AsyncIterable<GroupSnapshot | undefined> {
    let by: string | undefined;
    const look = async (): Promise<Level<GroupSnapshot | undefined>> => {
      await this.#session.appear();
      const view = await this.#session.calls.run(() => this.#store.read(id));
      if (!view && by === undefined) throw this.#absent(id);
      // One that was made anew under the same name is another group.
      if (!view || (by !== undefined && view.by !== by)) return { value: undefined, changed: undefined };
      by = view.by;
      return { value: toSnapshot(view), changed: (stop) => this.#store.changed(id, view.at, stop) };
    };
    return levels(this.#session, signal, look);
  }

  async #read(id: string, member?: string): Promise<GroupView> {
    const view = await this.#session.calls.run(() => this.#store.read(id, member));
    if (view) return view;
    throw this.#absent(id);
  }

  /** The member, if it is there. */
  async #find(id: string, member: string): Promise<SeenMember | undefined> {
    const seen = (await this.#read(id, member)).members.get(member);
    const text = seen && decodeMember(seen.value);
    return seen && text && { ...text, seen };
  }

  async #require(id: string, member: string, presence: string | undefined): Promise<SeenMember> {
    const found = await this.#find(id, member);
    if (found && (presence === undefined || found.presence === presence)) return found;
    throw this.#stranger(id, member);
  }

  get #from() {
    return { driver: this.#session.driver };
  }

  #absent(id: string): GroupNotCreatedError {
    return new GroupNotCreatedError(`Cannot use group "${id}": it was not created`, this.#from);
  }

  #stranger(id: string, member: string): MemberNotJoinedError {
    return new MemberNotJoinedError(
      `Cannot find member "${member}" in group "${id}": it has not joined`,
      this.#from,
    );
  }
}

function toSnapshot({ by, members: seen }: GroupView): GroupSnapshot {
  const members = new Map<string, MemberRecord>();
  for (const [member, { value }] of seen) {
    const text = decodeMember(value);
    if (!text) continue;
    const { presence, data, joinedAt, updatedAt } = text;
    members.set(member, { presence, data, joinedAt, updatedAt });
  }
  return { life: by, members };
}
