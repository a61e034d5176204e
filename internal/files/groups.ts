import { GroupNotEmptyError, MemberAlreadyExistError, MemberNotJoinedError } from "../../core/errors.ts";
import type { GroupSnapshot, GroupStore, Joining, Presence } from "../../driver.ts";
import { watchChanges } from "./changes.ts";
import type { Context } from "./context.ts";
import { listNames, removeFile } from "./disk.ts";
import { GroupDir, listGroups } from "./group_dir.ts";
import { type Member, memberPath, readMember, writeMember } from "./member_file.ts";
import { FilePresence } from "./presence.ts";
import { type Members, Snapshots } from "./snapshot.ts";

/** So many files of dead members may gather in a group. */
const REAP_EVERY = 16;

/** The groups as one session sees them. */
export class FileGroups implements GroupStore {
  readonly #context: Context;
  readonly #presences = new Map<string, FilePresence>();

  constructor(context: Context) {
    this.#context = context;
  }

  list(): Promise<string[]> {
    return this.#run("list the groups", () => listGroups(this.#context));
  }

  create(id: string): Promise<void> {
    return this.#run(`create group "${id}"`, () => this.#dir(id).create());
  }

  delete(id: string): Promise<void> {
    return this.#run(`delete group "${id}"`, () => {
      const dir = this.#dir(id);
      return dir.enter(() => {
        const { size } = new Snapshots(this.#context, dir.members).read();
        if (size > 0) {
          throw new GroupNotEmptyError(`Cannot delete group "${id}": it has ${size} members`, {
            driver: this.#driver,
          });
        }
        dir.delete();
        this.#context.wires.changed(dir.key);
      });
    });
  }

  join(id: string, joining: Joining): Promise<Presence> {
    return this.#run(`join group "${id}"`, () => {
      const dir = this.#dir(id);
      return dir.enter(() => {
        // The wait for the gate may have outlived the session.
        this.#context.ended.throwIfAborted();
        this.#reap(dir);
        return this.#join(dir, joining);
      });
    });
  }

  update(id: string, member: string, data: string, presence?: string): Promise<void> {
    return this.#run(`update member "${member}" of group "${id}"`, () => {
      const dir = this.#dir(id);
      return dir.enter(() => {
        const file = memberPath(dir.members, member);
        const present = this.#present(dir, { file, member, presence });
        const updatedAt = Math.max(present.updatedAt, this.#context.clock.wall());
        this.#write(dir, file, { ...present, data, updatedAt });
      });
    });
  }

  remove(id: string, member: string, presence?: string): Promise<void> {
    return this.#run(`remove member "${member}" of group "${id}"`, () => {
      const dir = this.#dir(id);
      return dir.enter(() => {
        const file = memberPath(dir.members, member);
        const present = this.#present(dir, { file, member, presence });
        this.#erase(dir, file);
        // Who names the presence gives up its own.
        if (presence !== undefined) this.#presences.get(presence)?.end();
        this.#tell(dir, present);
      });
    });
  }

  members(id: string): Promise<GroupSnapshot> {
    return this.#run(`list the members of group "${id}"`, () => {
      const dir = this.#dir(id);
      const life = dir.life();
      if (life === undefined) throw dir.missing();
      return { life, members: new Snapshots(this.#context, dir.members).read() };
    });
  }

  async *watch(id: string, signal: AbortSignal): AsyncGenerator<GroupSnapshot | undefined, void> {
    const { clock, ended, sid, wires } = this.#context;
    try {
      ended.throwIfAborted();
      const dir = this.#dir(id);
      const life = dir.life();
      if (life === undefined) throw dir.missing();
      const snapshots = new Snapshots(this.#context, dir.members);
      const all = watchChanges<Members | undefined>(
        (fn) => wires.watch(sid, { path: dir.members, key: dir.key }, fn),
        { clock, signal, ended },
        (before) => {
          // After the members: a deletion between the two is not taken for an empty group.
          const now = snapshots.read(before);
          return dir.life() === life ? now : undefined;
        },
      );
      for await (const members of all) {
        yield members && { life, members };
        if (!members) return;
      }
    } catch (error) {
      throw this.#explain(error, `watch group "${id}"`);
    }
  }

  /** Looks after the presences of a group, or of all. */
  hear(key: string | undefined): void {
    for (const presence of [...this.#presences.values()]) {
      if (key === undefined || presence.dir.key === key) presence.look();
    }
  }

  /** Looks after every presence. */
  beat(): void {
    this.hear(undefined);
  }

  /** Removes all memberships, at once; what cannot be removed counts as dead with the session. */
  async close(): Promise<void> {
    const removals = [...this.#presences.values()].map(({ dir, file, id }) =>
      dir.enter(() => {
        if (readMember(this.#context.disk, file)?.presence === id) this.#erase(dir, file);
      })
    );
    this.#presences.clear();
    // Somebody may have stopped in a gate, or deleted the group.
    await Promise.allSettled(removals);
  }

  /** The dead leave their files: they are looked for whenever that many files more may have come. */
  #reap(dir: GroupDir): void {
    const { length } = listNames(this.#context.disk, dir.members);
    if (length > 0 && length % REAP_EVERY === 0) new Snapshots(this.#context, dir.members).reap();
  }

  #join(dir: GroupDir, { presence, data, replace }: Joining): Presence {
    const { memberId, sid, incarnation, clock } = this.#context;
    const file = memberPath(dir.members, memberId);
    const present = readMember(this.#context.disk, file);
    const isTaken = present && present.incarnation !== incarnation && !replace &&
      this.#context.isAlive(present.session);
    if (isTaken) {
      throw new MemberAlreadyExistError(`Cannot join group "${dir.id}": member "${memberId}" is there`, {
        driver: this.#driver,
      });
    }
    if (present?.presence !== presence) {
      const now = clock.wall();
      const member = {
        id: memberId,
        session: sid,
        incarnation,
        presence,
        data,
        joinedAt: now,
        updatedAt: now,
      };
      this.#write(dir, file, member);
      if (present) this.#tell(dir, present);
    }
    const known = this.#presences.get(presence);
    if (known) return known;
    const made = new FilePresence(
      { context: this.#context, id: presence, dir, member: memberId, file },
      () => this.#presences.delete(presence),
    );
    this.#presences.set(presence, made);
    return made;
  }

  /** The living member that is asked for. */
  #present(dir: GroupDir, asked: { file: string; member: string; presence: string | undefined }): Member {
    const present = readMember(this.#context.disk, asked.file);
    const isPresent = present && (asked.presence ?? present.presence) === present.presence;
    if (isPresent && this.#context.isAlive(present.session)) return present;
    const state = isPresent || !present ? "it is not there" : "it was replaced";
    throw new MemberNotJoinedError(`Cannot find member "${asked.member}" of group "${dir.id}": ${state}`, {
      driver: this.#driver,
    });
  }

  /** Tells the owner of a presence that it is gone. */
  #tell(dir: GroupDir, { session, presence }: Member): void {
    if (session === this.#context.sid) this.#presences.get(presence)?.look();
    else this.#context.wires.ring(session, { reason: "member", key: dir.key });
  }

  #dir(id: string): GroupDir {
    return new GroupDir(this.#context, id);
  }

  #write(dir: GroupDir, file: string, member: Member): void {
    const { disk, wires, sid, unique } = this.#context;
    writeMember(disk, file, { member, unique: `${sid}-${unique()}` });
    wires.changed(dir.key);
  }

  #erase(dir: GroupDir, file: string): void {
    removeFile(this.#context.disk, file);
    this.#context.wires.changed(dir.key);
  }

  get #driver(): string {
    return this.#context.failures.driver;
  }

  async #run<T>(action: string, step: () => T | Promise<T>): Promise<T> {
    try {
      this.#context.ended.throwIfAborted();
      return await step();
    } catch (error) {
      throw this.#explain(error, action);
    }
  }

  #explain(error: unknown, action: string): unknown {
    this.#context.verify();
    return this.#context.ended.aborted
      ? this.#context.ended.reason
      : this.#context.failures.explain(action, error);
  }
}
