import { Buffer } from "node:buffer";
import type { ICompare, IRequestOp } from "etcd3";
import type { Groups, GroupView, Position, Seen } from "../../internal/tree/store.ts";
import { escape, type Keys, one, under, unescape } from "./keys.ts";
import { isAt } from "./line.ts";
import type { EtcdStore } from "./store.ts";

/** The groups of a namespace: a key that names it in the list of all, and a folder with its members. */
export class EtcdGroups implements Groups {
  readonly #store: EtcdStore;
  readonly #keys: Keys;

  constructor(store: EtcdStore, keys: Keys) {
    this.#store = store;
    this.#keys = keys;
  }

  async list(): Promise<string[]> {
    const all = { ...under(this.#keys.groups), keys_only: true };
    const { kvs } = await this.#store.ask((client, options) => client.kv.range(all, options));
    return kvs.map(({ key }) => unescape(key.toString().slice(this.#keys.groups.length)));
  }

  create(id: string, by: string): Promise<boolean> {
    const [dir, name] = [this.#keys.group(id), this.#name(id)];
    return this.#change([isAt(dir, "0")], [
      { request_put: { ...one(dir), value: Buffer.from(by) } },
      { request_put: one(name) },
    ]);
  }

  delete(id: string, seen: GroupView): Promise<boolean> {
    const [dir, name] = [this.#keys.group(id), this.#name(id)];
    const members = { key: Buffer.from(`${dir}\0`), range_end: under(dir).range_end };
    return this.#change(
      [isUnchanged(dir, seen.version), {
        ...members,
        target: "Create",
        result: "Equal",
        create_revision: "0",
      }],
      [{ request_delete_range: one(dir) }, { request_delete_range: one(name) }],
    );
  }

  async read(id: string, member?: string): Promise<GroupView | undefined> {
    const dir = this.#keys.group(id);
    const ranges = member === undefined ? [under(dir)] : [one(dir), one(this.path(id, member))];
    const { header, responses } = await this.#store.txn({
      compare: [],
      success: ranges.map((request_range) => ({ request_range })),
      failure: [],
    });
    const kvs = responses.flatMap(({ response_range }) => response_range?.kvs ?? []);
    const members = new Map<string, Seen>();
    let group: Seen | undefined;
    for (const { key, value, mod_revision } of kvs) {
      const seen = { value: value.toString(), version: mod_revision };
      const path = key.toString();
      if (path === dir) group = seen;
      else members.set(unescape(path.slice(dir.length)), seen);
    }
    return group && { by: group.value, version: group.version, members, at: header.revision };
  }

  put(id: string, member: string, value: string, seen: Seen | undefined): Promise<boolean> {
    const path = this.path(id, member);
    return this.#change(
      [
        { ...isAt(this.#keys.group(id), "0"), result: "Greater" },
        seen ? isUnchanged(path, seen.version) : isAt(path, "0"),
      ],
      [{ request_put: { ...one(path), value: Buffer.from(value), lease: this.#store.lease } }],
    );
  }

  amend(id: string, member: string, value: string, seen: Seen): Promise<boolean> {
    const path = this.path(id, member);
    return this.#change([isUnchanged(path, seen.version)], [
      { request_put: { ...one(path), value: Buffer.from(value), ignore_lease: true } },
    ]);
  }

  remove(id: string, member: string, seen: Seen): Promise<boolean> {
    const path = this.path(id, member);
    return this.#change([isUnchanged(path, seen.version)], [{ request_delete_range: one(path) }]);
  }

  path(id: string, member: string): string {
    return this.#keys.group(id) + escape(member);
  }

  changed(id: string, at: Position, signal: AbortSignal): Promise<void> {
    return this.#store.changed(under(this.#keys.group(id)), at, signal);
  }

  #name(id: string): string {
    return this.#keys.groups + escape(id);
  }

  async #change(compare: ICompare[], success: IRequestOp[]): Promise<boolean> {
    return (await this.#store.txn({ compare, success, failure: [] })).succeeded;
  }
}

function isUnchanged(path: string, version: string): ICompare {
  return { ...one(path), target: "Mod", result: "Equal", mod_revision: version };
}
