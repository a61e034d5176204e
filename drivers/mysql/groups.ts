import type { Groups } from "../../internal/sql/store.ts";
import type { GroupView, Position, Seen } from "../../internal/tree/store.ts";
import { TRANSACTION } from "./connection.ts";
import { numberOf } from "./errors.ts";
import { groupBase, livesOn } from "./names.ts";
import { all, digest, Raw, sql } from "./sql.ts";
import type { MysqlStore } from "./store.ts";

/** A row that is there already. */
const DUPLICATE = 1062;

/**
 * The groups of a namespace. Who changes a group, or a member of it, counts its version up first, which locks its row
 * until the change is made: so changes of one group come one after the other.
 */
export class MysqlGroups implements Groups {
  readonly #store: MysqlStore;

  constructor(store: MysqlStore) {
    this.#store = store;
  }

  async list(): Promise<string[]> {
    const [groups] = await this.#store.ask(
      sql`select name from tooz_group where space = ${this.#store.space} order by name`,
    );
    return (groups?.rows ?? []).map(([name]) => name ?? "");
  }

  async create(id: string, by: string): Promise<boolean> {
    const base = this.#base(id);
    try {
      const [made] = await this.#store.ask(
        sql`insert into tooz_group (base, space, name, made, version)
          select ${base}, ${this.#store.space}, ${id}, ${by}, 1 from (select 1) one
          where not exists (select 1 from tooz_group where base = ${base})`,
      );
      return made?.affected === 1;
    } catch (error) {
      // Somebody was faster.
      if (error instanceof Error && numberOf(error.cause) === DUPLICATE) return false;
      throw error;
    }
  }

  async delete(id: string, seen: GroupView): Promise<boolean> {
    const base = this.#base(id);
    const isSeen = sql`made = ${seen.by} and version = ${BigInt(seen.version)}`;
    const [, deleted] = await this.#store.ask(all(
      new Raw(TRANSACTION),
      sql`delete from tooz_group where base = ${base} and ${isSeen}`,
      // Those of dead sessions.
      sql`delete from tooz_member where base = ${base}
        and not exists (select 1 from tooz_group where base = ${base})`,
      sql`commit`,
    ));
    this.#store.news.ring(topic(base));
    return deleted?.affected === 1;
  }

  async read(id: string, member?: string): Promise<GroupView | undefined> {
    const base = this.#base(id);
    const at = String(this.#store.bells.count);
    const one = member === undefined ? sql`` : sql`and member = ${digest(member)}`;
    // The version first: what changes meanwhile makes it old.
    const [group, members] = await this.#store.ask(all(
      sql`select made, version from tooz_group where base = ${base}`,
      sql`select name, version, value from tooz_member
        where base = ${base} ${one} and ${livesOn("session")} is not null`,
    ));
    const [made, version] = group?.rows[0] ?? [];
    if (typeof made !== "string") return undefined;
    const seen = (members?.rows ?? []).map(([name, state, value]): [string, Seen] => [
      name ?? "",
      { value: value ?? "", version: state ?? "" },
    ]);
    return { by: made, version: version ?? "", members: new Map(seen), at };
  }

  async put(id: string, member: string, value: string, seen: Seen | undefined): Promise<boolean> {
    const base = this.#base(id);
    const which = this.#which(base, member);
    const { session } = this.#store;
    const state = sql`concat(made, '.', version)`;
    const fresh = sql`insert into tooz_member (base, member, session, version, name, value)
      select ${base}, ${digest(member)}, ${session}, ${state}, ${member}, ${value} from tooz_group
      where base = ${base} and not exists (select 1 from tooz_member where ${which})`;
    if (seen === undefined) {
      const dead = sql`delete from tooz_member where ${which} and ${livesOn("session")} is null`;
      return await this.#change(base, which, [dead, fresh]);
    }
    return await this.#change(base, which, [
      sql`update tooz_member set session = ${session}, value = ${value}, version = ${this.#version(base)}
        where ${which} and version = ${seen.version}`,
    ]);
  }

  async amend(id: string, member: string, value: string, seen: Seen): Promise<boolean> {
    const base = this.#base(id);
    const which = this.#which(base, member);
    return await this.#change(base, which, [
      sql`update tooz_member set value = ${value}, version = ${this.#version(base)}
        where ${which} and version = ${seen.version}`,
    ]);
  }

  async remove(id: string, member: string, seen: Seen): Promise<boolean> {
    const base = this.#base(id);
    const which = this.#which(base, member);
    return await this.#change(base, which, [
      sql`delete from tooz_member where ${which} and version = ${seen.version}`,
    ]);
  }

  path(id: string, member: string): string {
    return `${this.#base(id)}/${digest(member)}`;
  }

  changed(id: string, at: Position, signal: AbortSignal): Promise<void> {
    return this.#store.news.changed(topic(this.#base(id)), Number(at), signal);
  }

  /** Makes a change of a member, the last of the steps, and tells; false: there was nothing to change. */
  async #change(base: string, which: Raw, steps: readonly Raw[]): Promise<boolean> {
    const answers = await this.#store.ask(all(
      new Raw(TRANSACTION),
      sql`update tooz_group set version = version + 1 where base = ${base}`,
      sql`select session from tooz_member where ${which}`,
      ...steps,
      sql`commit`,
      sql`select session from tooz_member where ${which}`,
    ));
    const isChanged = answers[2 + steps.length]?.affected === 1;
    if (!isChanged) return false;
    const [before, now] = [answers[2]?.rows[0]?.[0], answers.at(-1)?.rows[0]?.[0]];
    // Whose membership it was is told that it is gone.
    if (before && before !== now && before !== this.#store.session) this.#store.news.ringHolds([before]);
    this.#store.news.ring(topic(base));
    return true;
  }

  /** What a change makes of a member's version: no member had it before. */
  #version(base: string): Raw {
    return sql`(select concat(made, '.', version) from tooz_group where base = ${base})`;
  }

  #base(id: string): string {
    return groupBase(this.#store.database, this.#store.namespace, id);
  }

  #which(base: string, member: string): Raw {
    return sql`base = ${base} and member = ${digest(member)}`;
  }
}

/** What is rung when a group has changed. */
function topic(base: string): string {
  return `g.${base}`;
}
