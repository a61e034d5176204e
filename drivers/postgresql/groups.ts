import type { Bells, Groups } from "../../internal/sql/store.ts";
import type { GroupView, Position, Seen } from "../../internal/tree/store.ts";
import { prepared } from "./connection.ts";
import { bytes } from "./keys.ts";
import type { PostgresqlStore } from "./store.ts";

const LIST = prepared("list_groups", "select id from tooz.groups where space = $1 order by id");
const CREATE = prepared("create_group", "select tooz.create_group($1, $2, $3)");
const DELETE = prepared("delete_group", "select tooz.delete_group($1, $2, $3)");
const READ = prepared(
  "read_group",
  "select made_by, version::text, member, value, member_version::text from tooz.read_group($1, $2, $3, $4)",
);
const PUT = prepared("put_member", "select tooz.put_member($1, $2, $3, $4, $5, $6)");
const AMEND = prepared("amend_member", "select tooz.amend_member($1, $2, $3, $4, $5)");
const REMOVE = prepared("remove_member", "select tooz.remove_member($1, $2, $3, $4)");

/** Groups and members as rows; a member's is worth something as long as its session has its presence. */
export class PostgresqlGroups implements Groups {
  readonly #store: PostgresqlStore;
  readonly #bells: Bells;

  constructor(store: PostgresqlStore, bells: Bells) {
    this.#store = store;
    this.#bells = bells;
  }

  async list(): Promise<string[]> {
    return (await this.#store.ask(LIST, [this.#store.space])).map(([id]) => text(id));
  }

  create(id: string, by: string): Promise<boolean> {
    return this.#change(CREATE, [bytes(id), by]);
  }

  delete(id: string, { version }: GroupView): Promise<boolean> {
    return this.#change(DELETE, [bytes(id), version]);
  }

  async read(id: string, member?: string): Promise<GroupView | undefined> {
    const at = String(this.#bells.count);
    const { space, session } = this.#store;
    const only = member === undefined ? null : bytes(member);
    const rows = await this.#store.ask(READ, [space, bytes(id), only, session]);
    const [first] = rows;
    if (!first) return undefined;
    const members = new Map<string, Seen>();
    for (const [, , member, value, version] of rows) {
      if (member !== null) members.set(text(member), { value: text(value), version: String(version) });
    }
    return { by: String(first[0]), version: String(first[1]), members, at };
  }

  put(id: string, member: string, value: string, seen: Seen | undefined): Promise<boolean> {
    const { session } = this.#store;
    return this.#change(PUT, [bytes(id), bytes(member), bytes(value), seen?.version ?? null, session]);
  }

  amend(id: string, member: string, value: string, seen: Seen): Promise<boolean> {
    return this.#change(AMEND, [bytes(id), bytes(member), bytes(value), seen.version]);
  }

  remove(id: string, member: string, seen: Seen): Promise<boolean> {
    return this.#change(REMOVE, [bytes(id), bytes(member), seen.version]);
  }

  path(id: string, member: string): string {
    return JSON.stringify([id, member]);
  }

  changed(id: string, at: Position, signal: AbortSignal): Promise<void> {
    return this.#bells.changed(`g${bytes(id).toString("hex")}`, Number(at), signal);
  }

  async #change(statement: typeof CREATE, values: unknown[]): Promise<boolean> {
    const [[changed] = []] = await this.#store.ask(statement, [this.#store.space, ...values]);
    return changed === true;
  }
}

/** What was written as bytes. */
export function text(value: unknown): string {
  // The columns have no other type. A mark at the beginning is part of the text.
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(value as Uint8Array);
}
