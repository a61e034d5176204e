import {
  CapacityError,
  GroupAlreadyExistError,
  GroupNotCreatedError,
  GroupNotEmptyError,
  MemberAlreadyExistError,
  MemberNotJoinedError,
} from "../../core/errors.ts";
import type { GroupSnapshot, GroupStore, Joining, MemberRecord, Presence } from "../../driver.ts";
import { isPassing } from "../../internal/passing.ts";
import { AMEND, CREATE, DELETE, JOIN, LIST, MEMBERS, MORE, REMOVE } from "./group_scripts.ts";
import { decode, encode } from "./keys.ts";
import { strings } from "./locks.ts";
import { Member } from "./member.ts";
import type { Script } from "./script.ts";
import type { RedisSession } from "./session.ts";
import { type Level, levels } from "./watch.ts";

/** How much data one answer holds: a server cuts the connection of a listener that is sent more than 32 MB. */
const PAGE = 4_000_000;

/** The groups of a namespace. */
export class Groups implements GroupStore {
  readonly #session: RedisSession;

  constructor(session: RedisSession) {
    this.#session = session;
  }

  async list(): Promise<string[]> {
    const { connection, keys } = this.#session;
    if (!this.#session.footing.spread) return strings(await connection.call(LIST, keys.groups, []));
    return (await connection.scan(keys.allGroups)).map((key) => keys.groupOf(key));
  }

  async create(id: string): Promise<void> {
    await this.#change(CREATE, id, [crypto.randomUUID(), this.#registry, id]);
  }

  async delete(id: string): Promise<void> {
    await this.#change(DELETE, id, [crypto.randomUUID(), this.#registry, id]);
  }

  /** The key of the set of all groups; empty where no key is beside all groups. */
  get #registry(): string {
    return this.#session.footing.spread ? "" : this.#session.keys.groups;
  }

  async join(id: string, joining: Joining): Promise<Presence> {
    checkSize(`join group "${id}"`, joining.data);
    const { memberId, incarnation } = this.#session;
    // Known before it is sent, since a message may come together with the answer.
    const member = new Member(this.#session, id, encode(joining.presence));
    const args = [memberId, member.presence, incarnation, joining.replace ? "1" : "0", joining.data];
    try {
      await this.#change(JOIN, id, args, memberId);
    } catch (error) {
      member.forget();
      // It, or a try before it, may have been carried out all the same.
      if (isPassing(error)) member.giveBack();
      throw error;
    }
    // Evicted after a first try without an answer: what the second one brought about is nobody's.
    if (member.lost.aborted) member.giveBack();
    member.joined = true;
    return member;
  }

  async update(id: string, member: string, data: string, presence = ""): Promise<void> {
    checkSize(`update member "${member}" of group "${id}"`, data);
    await this.#change(AMEND, id, [member, encode(presence), data], member);
  }

  async remove(id: string, member: string, presence = ""): Promise<void> {
    const ours = [...this.#session.members.values()].filter((one) => one.is(id, member, encode(presence)));
    // Who leaves by its presence knows that it does; a member removed by its name is told, whoever removed it.
    const quiet = presence === "" ? [] : ours;
    for (const one of quiet) one.leaving = true;
    try {
      await this.#change(REMOVE, id, [crypto.randomUUID(), member, encode(presence)], member);
      for (const one of quiet) one.depart();
    } finally {
      for (const one of quiet) one.leaving = false;
    }
    for (const one of ours) one.lose("was removed");
  }

  async members(id: string): Promise<GroupSnapshot> {
    const { snapshot } = await this.#read(id, false);
    if (!snapshot) throw this.#error("absent", id, "");
    return snapshot;
  }

  watch(id: string, signal: AbortSignal): AsyncIterable<GroupSnapshot | undefined> {
    let by: string | undefined;
    const look = async (rung: boolean): Promise<Level<GroupSnapshot | undefined>> => {
      const read = await this.#read(id, !rung);
      if (by === undefined && read.by === undefined) throw this.#error("absent", id, "");
      // One that was made anew under the same name is another group.
      if (read.by === undefined || (by !== undefined && read.by !== by)) {
        return { value: undefined, next: -1, last: true };
      }
      by = read.by;
      return { value: read.snapshot, next: read.next, same: read.snapshot === undefined };
    };
    return levels(this.#session, this.#session.keys.group(id), signal, look);
  }

  /** All live members; with `peek` only if some have died. */
  async #read(id: string, peek: boolean): Promise<{ by?: string; next: number; snapshot?: GroupSnapshot }> {
    const tag = this.#session.keys.group(id);
    const answer = await this.#session.call(MEMBERS, tag, [String(PAGE), peek ? "1" : "0"]);
    if (answer === "absent") return { next: -1 };
    const [by = "", expiry, dead, full, ...parts] = strings(answer);
    // Watchers who all wait for the same death need not all look at once.
    const next = Number(expiry) < 0 ? -1 : Number(expiry) + 2 + 20 * Math.random();
    if (peek && dead === "0") return { by, next };
    const members = new Map<string, MemberRecord>();
    for (let i = 0; i < 2 * Number(full); i += 2) add(members, parts[i], parts[i + 1]);
    let rest = parts.slice(2 * Number(full));
    while (rest.length > 0) {
      const page = strings(await this.#session.call(MORE, tag, [String(PAGE), ...rest]));
      for (const [i, record] of page.entries()) add(members, rest[i], record);
      rest = rest.slice(Math.max(page.length, 1));
    }
    return { by, next, snapshot: { life: by, members } };
  }

  async #change(script: Script, id: string, args: string[], member = ""): Promise<void> {
    const answer = await this.#session.call(script, this.#session.keys.group(id), args);
    if (answer !== "ok") throw this.#error(String(answer), id, member);
  }

  #error(answer: string, id: string, member: string): Error {
    const from = { driver: "redis" };
    switch (answer) {
      case "exists":
        return new GroupAlreadyExistError(`Cannot create group "${id}": it exists already`, from);
      case "occupied":
        return new GroupNotEmptyError(`Cannot delete group "${id}": it has members`, from);
      case "taken":
        return new MemberAlreadyExistError(
          `Cannot join group "${id}": a live member is named "${member}"`,
          from,
        );
      case "stranger":
        return new MemberNotJoinedError(
          `Cannot find member "${member}" in group "${id}": it has not joined`,
          from,
        );
      default:
        return new GroupNotCreatedError(`Cannot use group "${id}": it was not created`, from);
    }
  }
}

/** The server cuts the connection of who listens where more than 32 MB are on their way to it, or 8 MB for a minute. */
const LARGEST = 8_000_000;

function checkSize(action: string, data: string): void {
  const size = Buffer.byteLength(data);
  if (size <= LARGEST) return;
  const advice =
    `${size} bytes, where ${LARGEST} are the most that every member can be sent; store less there`;
  throw new CapacityError(`Cannot ${action}: its data have ${advice}`, { driver: "redis" });
}

/** Adds a member from its record, unless it left while the pages were read. */
function add(snapshot: Map<string, MemberRecord>, member = "", record = ""): void {
  const [, presence, joined, updated, data] = /^(\S+) (\S+) (\S+) (.*)$/s.exec(record) ?? [];
  if (presence === undefined || data === undefined) return;
  snapshot.set(member, {
    presence: decode(presence),
    data,
    joinedAt: Number(joined),
    updatedAt: Number(updated),
  });
}
