import type { Groups, GroupView, Position, Seen } from "../../internal/tree/store.ts";
import { groupKeys, groupsPrefix, unescapePart } from "./keys.ts";
import { readFolders, readTree } from "./kv.ts";
import type { Context } from "./line.ts";
import type { Pair } from "./pair.ts";
import { commit, step, transact } from "./txn.ts";

/** The groups of a namespace: a folder for each, with a key for each member. */
export class ConsulGroups implements Groups {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  async list(): Promise<string[]> {
    const prefix = groupsPrefix(this.#context.namespace);
    const { folders } = await readFolders(this.#context.link, prefix);
    const names = folders.map((folder) => unescapePart(folder.slice(prefix.length, -1)));
    return names.filter((name) => name !== undefined);
  }

  async create(id: string, by: string): Promise<boolean> {
    return await commit(this.#context.link, [step.make(this.#keys(id).group, by)]);
  }

  async delete(id: string, { version }: GroupView): Promise<boolean> {
    const { group, joined } = this.#keys(id);
    const [made = "", joining = ""] = version.split(" ");
    return await commit(this.#context.link, [
      step.ifUnchanged(group, made),
      // Members leave in silence, but none comes without a trace.
      joining === "" ? step.ifAbsent(joined) : step.ifUnchanged(joined, joining),
      step.delete(group),
      step.delete(joined),
    ]);
  }

  async read(id: string, member?: string): Promise<GroupView | undefined> {
    const keys = this.#keys(id);
    if (member === undefined) {
      const { pairs, index } = await readTree(this.#context.link, keys.all);
      return this.#view(id, pairs, index);
    }
    const wanted = [keys.group, keys.joined, keys.member(member)];
    // As trees, since to get a key that is missing fails the whole transaction.
    const { pairs = [] } = await transact(this.#context.link, wanted.map(step.tree));
    return this.#view(id, pairs, "");
  }

  async put(id: string, member: string, value: string, seen: Seen | undefined): Promise<boolean> {
    const { link, session } = this.#context;
    const keys = this.#keys(id);
    const key = keys.member(member);
    return await commit(link, [
      step.get(keys.group),
      // Another value each time: the server does not write the same one again.
      step.set(keys.joined, crypto.randomUUID()),
      ...(seen ? [step.ifUnchanged(key, seen.version), step.delete(key)] : [step.ifAbsent(key)]),
      step.lock(key, value, session),
    ]);
  }

  async amend(id: string, member: string, value: string, seen: Seen): Promise<boolean> {
    const key = this.#keys(id).member(member);
    return await commit(this.#context.link, [step.ifUnchanged(key, seen.version), step.set(key, value)]);
  }

  async remove(id: string, member: string, seen: Seen): Promise<boolean> {
    const key = this.#keys(id).member(member);
    return await commit(this.#context.link, [step.ifUnchanged(key, seen.version), step.delete(key)]);
  }

  path(id: string, member: string): string {
    return this.#keys(id).member(member);
  }

  changed(id: string, at: Position, signal: AbortSignal): Promise<void> {
    const awaited = { key: this.#keys(id).all, isPrefix: true, index: at };
    return this.#context.waits.changed(awaited, signal);
  }

  #keys(id: string) {
    return groupKeys(this.#context.namespace, id);
  }

  #view(id: string, pairs: readonly Pair[], at: Position): GroupView | undefined {
    const keys = this.#keys(id);
    const group = pairs.find(({ key }) => key === keys.group);
    if (!group) return undefined;
    const joined = pairs.find(({ key }) => key === keys.joined);
    const members = new Map<string, Seen>();
    for (const { key, value, session, modified } of pairs) {
      if (!key.startsWith(keys.members) || session === "") continue;
      const name = unescapePart(key.slice(keys.members.length, -1));
      if (name !== undefined) members.set(name, { value, version: modified });
    }
    return { by: group.value, version: `${group.modified} ${joined?.modified ?? ""}`, members, at };
  }
}
