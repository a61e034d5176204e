import * as path from "node:path";
import type { MemberRecord } from "../../driver.ts";
import type { Context } from "./context.ts";
import { isCertain, listNames, removeFile } from "./disk.ts";
import { isMemberFile, type Member, readMember } from "./member_file.ts";

/** A file as it was last read; without a member it is torn or foreign. */
interface Known {
  /** Undefined: it may be replaced by one that looks alike. */
  readonly stamp: string | undefined;
  readonly member: Member | undefined;
  readonly record: MemberRecord | undefined;
}

/** The live members by id. */
export type Members = ReadonlyMap<string, MemberRecord>;

/** Reads the live members of a directory; a file that has not changed is not read again. */
export class Snapshots {
  readonly #context: Context;
  readonly #directory: string;
  #known = new Map<string, Known>();

  constructor(context: Context, directory: string) {
    this.#context = context;
    this.#directory = directory;
  }

  /** The members now; the same object as `before` if nothing has changed. */
  read(before?: Members): Members {
    const known = new Map<string, Known>();
    const snapshot = new Map<string, MemberRecord>();
    const alive = new Map<string, boolean>();
    for (const name of listNames(this.#context.disk, this.#directory)) {
      const entry = isMemberFile(name) ? this.#entry(name) : undefined;
      if (!entry) continue;
      known.set(name, entry);
      if (entry.member && entry.record && this.#isAlive(entry.member, alive)) {
        snapshot.set(entry.member.id, entry.record);
      }
    }
    this.#known = known;
    return before && isEqual(before, snapshot) ? before : snapshot;
  }

  /** Removes the files of members that died with their sessions; call it in the group's gate. */
  reap(): void {
    const alive = new Map<string, boolean>();
    for (const name of listNames(this.#context.disk, this.#directory)) {
      const member = isMemberFile(name) ? this.#entry(name)?.member : undefined;
      if (member && !this.#isAlive(member, alive)) {
        removeFile(this.#context.disk, path.join(this.#directory, name));
      }
    }
  }

  #entry(name: string): Known | undefined {
    const file = path.join(this.#directory, name);
    const stamp = this.#context.disk.stampOf(file);
    const known = this.#known.get(name);
    if (stamp === undefined || known?.stamp === stamp.text) return stamp && known;
    const certain = isCertain(stamp, this.#context.clock.wall()) ? stamp.text : undefined;
    const member = readMember(this.#context.disk, file);
    const isSame = JSON.stringify(member) === JSON.stringify(known?.member);
    return { member, record: isSame ? known?.record : member && toRecord(member), stamp: certain };
  }

  /** Members of one session are asked for once. */
  #isAlive({ session }: Member, alive: Map<string, boolean>): boolean {
    const known = alive.get(session) ?? this.#context.isAlive(session);
    alive.set(session, known);
    return known;
  }
}

function toRecord({ presence, data, joinedAt, updatedAt }: Member): MemberRecord {
  return { presence, data, joinedAt, updatedAt };
}

/** Records are compared as objects: an unchanged file gives the same one again. */
function isEqual(a: Members, b: Members): boolean {
  if (a.size !== b.size) return false;
  for (const [id, record] of b) if (a.get(id) !== record) return false;
  return true;
}
