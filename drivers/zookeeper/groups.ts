import type { Groups, GroupView, Position, Seen } from "../../internal/tree/store.ts";
import type { Link } from "./link.ts";
import { escapePart, unescapePart } from "./paths.ts";
import { isDone, type Operation, orAbsent } from "./requests.ts";
import type { ZookeeperStore } from "./store.ts";
import { toPosition } from "./watches.ts";

/**
 * The groups of a namespace. In the directory of a group stand
 *
 * - `by:<mark>`, which stays as long as the group, and tells it from others of the same id;
 * - `id:<member>`, an ephemeral node that reserves the id;
 * - `of:<mark>:<member>`, an ephemeral node made and removed together with it, that holds the value. Its mark tells
 *   one membership from another of the same id, which a version cannot: each new node begins with version 0.
 *
 * So every condition is that a node of a name is there, and every change is one of the directory's content.
 */
export class ZookeeperGroups implements Groups {
  readonly #store: ZookeeperStore;
  readonly #directory: string;
  /** The nodes of this session's values, by the paths of their members. */
  readonly #values = new Map<string, string>();

  constructor(store: ZookeeperStore) {
    this.#store = store;
    this.#directory = `${store.root}/groups`;
  }

  list(): Promise<string[]> {
    return this.#store.connection.run(async (link) => {
      const [, groups] = await Promise.all([link.sync(), orAbsent(link.children(this.#directory))]);
      return groups?.names.map(unescapePart) ?? [];
    });
  }

  create(id: string, by: string): Promise<boolean> {
    const group = this.#group(id);
    return this.#store.connection.run(async (link) => {
      for (;;) {
        const made = link.all([{ type: "create", path: group }, { type: "create", path: toMark(group, by) }]);
        if (await isDone(made)) return true;
        if (await link.stat(group)) return false;
        await this.#store.makeWay(link, group);
      }
    });
  }

  delete(id: string, { version }: GroupView): Promise<boolean> {
    const group = this.#group(id);
    return this.#all([{ type: "remove", path: toMark(group, version) }, { type: "remove", path: group }]);
  }

  read(id: string, member?: string): Promise<GroupView | undefined> {
    return this.#store.connection.run((link) => this.#read(link, this.#group(id), member));
  }

  async #read(link: Link, group: string, member: string | undefined): Promise<GroupView | undefined> {
    for (;;) {
      const [, directory] = await Promise.all([link.sync(), orAbsent(link.children(group))]);
      if (!directory) return undefined;
      const { by, members } = readNames(directory.names);
      const wanted = members.filter(({ id }) => member === undefined || id === member);
      const seen = await Promise.all(wanted.map((one) => readMember(link, group, one)));
      const present = seen.filter((one) => one !== undefined);
      // One that was replaced meanwhile is not one that has left.
      if (present.length < seen.length) continue;
      return { by, version: by, members: new Map(present), at: toPosition(directory.at) };
    }
  }

  async put(id: string, member: string, value: string, seen: Seen | undefined): Promise<boolean> {
    const [group, slot] = [this.#group(id), this.path(id, member)];
    const node = toValue(group, member, crypto.randomUUID());
    const creation: Operation[] = [
      { type: "ephemeral", path: slot },
      { type: "ephemeral", path: node, value },
    ];
    const isPut = await this.#store.connection.run(async (link) => {
      const removal = seen ? this.#removal(id, member, seen) : [];
      if (await isDone(link.all([...removal, ...creation]))) return true;
      if (seen || !await this.#isTorn(link, group, member)) return false;
      return await isDone(link.all([{ type: "remove", path: slot }, ...creation]));
    });
    if (isPut) this.#values.set(slot, node);
    return isPut;
  }

  /** Whether an id is reserved by a member whose value somebody has removed. */
  async #isTorn(link: Link, group: string, member: string): Promise<boolean> {
    const [, directory] = await Promise.all([link.sync(), orAbsent(link.children(group))]);
    const names = directory?.names ?? [];
    return names.includes(toSlot(member)) && !readNames(names).members.some(({ id }) => id === member);
  }

  /** All nodes of a member of this session, of which the path is one. */
  nodesOf(path: string): string[] {
    const value = this.#values.get(path);
    return value === undefined ? [path] : [path, value];
  }

  amend(id: string, member: string, value: string, { version }: Seen): Promise<boolean> {
    const group = this.#group(id);
    return this.#all([
      { type: "write", value, ...at(group, member, version) },
      // Nobody ever sees this node, but who watches the directory is told.
      { type: "create", path: `${group}/changed` },
      { type: "remove", path: `${group}/changed` },
    ]);
  }

  remove(id: string, member: string, seen: Seen): Promise<boolean> {
    return this.#all(this.#removal(id, member, seen));
  }

  path(id: string, member: string): string {
    return `${this.#group(id)}/${toSlot(member)}`;
  }

  async changed(id: string, at: Position, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const watch = await this.#store.connection.run(({ watches }) => watches.directory(this.#group(id)));
    await watch.wait(at, signal);
  }

  #group(id: string): string {
    return `${this.#directory}/${escapePart(id)}`;
  }

  #removal(id: string, member: string, { version }: Seen): Operation[] {
    return [
      { type: "remove", ...at(this.#group(id), member, version) },
      { type: "remove", path: this.path(id, member) },
    ];
  }

  #all(operations: readonly Operation[]): Promise<boolean> {
    return this.#store.connection.run((link) => isDone(link.all(operations)));
  }
}

function toSlot(member: string): string {
  return `id:${escapePart(member)}`;
}

function toMark(group: string, by: string): string {
  return `${group}/by:${escapePart(by)}`;
}

function toValue(group: string, member: string, mark: string): string {
  return `${group}/of:${mark}:${escapePart(member)}`;
}

/** The node that was seen, in the version that was. */
function at(group: string, member: string, seen: string): { path: string; version: number } {
  const [mark = "", version] = seen.split(" ");
  return { path: toValue(group, member, mark), version: Number(version) };
}

/** The node of a member's value, as its name tells it. */
interface MemberName {
  readonly name: string;
  readonly id: string;
  readonly mark: string;
}

/** What the names in the directory of a group tell. */
function readNames(names: readonly string[]): { by: string; members: readonly MemberName[] } {
  const members: MemberName[] = [];
  let by = "";
  for (const name of names) {
    if (name.startsWith("by:")) by = unescapePart(name.slice(3));
    const [, mark, id] = /^of:([^:]*):(.*)$/s.exec(name) ?? [];
    if (mark !== undefined && id !== undefined) members.push({ name, mark, id: unescapePart(id) });
  }
  return { by, members };
}

async function readMember(
  link: Link,
  group: string,
  { name, id, mark }: MemberName,
): Promise<[string, Seen] | undefined> {
  const node = await orAbsent(link.read(`${group}/${name}`));
  return node && [id, { value: node.value, version: `${mark} ${node.stat.version}` }];
}
