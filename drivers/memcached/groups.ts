import { sleep } from "../../internal/clock.ts";
import {
  type Groups,
  type GroupView,
  Interrupted,
  type Position,
  type Seen,
  SessionGone,
} from "../../internal/tree/store.ts";
import { Catalog } from "./catalog.ts";
import { GROUP, type GroupItem, type GroupRecord, revise, stateOf, versionOf } from "./group_record.ts";
import { WatchPace } from "./pace.ts";
import type { MemcachedStore } from "./store.ts";

/** How often a watcher looks whether members have died, in ms. */
const ROUND = 1_000;
/** At so many of them at most in a round: the others' turn comes. */
const SAMPLE = 32;

/** The groups of a namespace: an item for each, with all its members. */
export class MemcachedGroups implements Groups {
  readonly #store: MemcachedStore;
  readonly #catalog: Catalog;

  constructor(store: MemcachedStore) {
    this.#store = store;
    this.#catalog = new Catalog(store);
  }

  list(): Promise<string[]> {
    return this.#catalog.list();
  }

  async create(id: string, by: string): Promise<boolean> {
    await this.#catalog.add(id, false);
    const { key, seat } = this.#at(id);
    const { isWritten } = await seat.change(
      key,
      GROUP,
      (known) => known ? undefined : { next: { by, revision: 0, members: new Map() } },
    );
    if (isWritten) await this.#catalog.add(id, true);
    return isWritten;
  }

  async delete(id: string, { version }: GroupView): Promise<boolean> {
    const { key, seat } = this.#at(id);
    const { isWritten } = await seat.change(
      key,
      GROUP,
      (known) => known && stateOf(known.record) === version ? { next: undefined } : undefined,
    );
    if (isWritten) await this.#catalog.remove(id);
    return isWritten;
  }

  async read(id: string, member?: string): Promise<GroupView | undefined> {
    const { key, seat } = this.#at(id);
    const record = (await seat.read(key, GROUP))?.record;
    if (!record) return undefined;
    const wanted = [...record.members].filter(([name]) => member === undefined || name === member);
    const alive = await seat.living(wanted.map(([, { session }]) => session));
    const members = new Map<string, Seen>();
    for (const [name, item] of wanted) {
      if (alive.has(item.session)) members.set(name, { value: item.value, version: versionOf(record, item) });
    }
    return { by: record.by, version: stateOf(record), members, at: stateOf(record) };
  }

  async put(id: string, member: string, value: string, seen: Seen | undefined): Promise<boolean> {
    const { key, seat } = this.#at(id);
    const isOwn = (one: GroupItem | undefined) => one?.session === this.#store.session;
    const before = (await seat.read(key, GROUP))?.record;
    const item = before?.members.get(member);
    if (!before) return false;
    const isAlive = item !== undefined && (await seat.living([item.session])).has(item.session);
    const found = item && versionOf(before, item);
    if (isAlive && found !== seen?.version) return false;
    const { isWritten } = await seat.change(key, GROUP, (known) => {
      const now = known?.record.members.get(member);
      if (!known || (now && versionOf(known.record, now)) !== found) return undefined;
      return {
        next: revise(known.record, (members, revision) => {
          // At the end, as one who has just come.
          members.delete(member);
          members.set(member, { session: this.#store.session, revision, value });
        }),
      };
    });
    if (!isWritten) return false;
    this.#store.note(this.path(id, member), {
      isThere: async () => isOwn((await seat.peek(key, GROUP))?.record.members.get(member)),
      remove: () => this.#removeOwn(id, member),
    });
    if (isAlive) await seat.tell(item.session, this.path(id, member));
    return true;
  }

  async amend(id: string, member: string, value: string, seen: Seen): Promise<boolean> {
    return await this.#change(id, member, seen, (members, revision) => {
      const item = members.get(member);
      if (item) members.set(member, { ...item, revision, value });
    }) !== undefined;
  }

  async remove(id: string, member: string, seen: Seen): Promise<boolean> {
    const session = await this.#change(id, member, seen, (members) => members.delete(member));
    if (session === undefined) return false;
    if (session === this.#store.session) this.#store.forget(this.path(id, member));
    else await this.#at(id).seat.tell(session, this.path(id, member));
    return true;
  }

  /** Changes a member that is still as it was seen; answers its session. */
  async #change(
    id: string,
    member: string,
    seen: Seen,
    change: Parameters<typeof revise>[1],
  ): Promise<string | undefined> {
    const { key, seat } = this.#at(id);
    let session: string | undefined;
    const { isWritten } = await seat.change(key, GROUP, (known) => {
      const item = known?.record.members.get(member);
      if (!known || !item || versionOf(known.record, item) !== seen.version) return undefined;
      session = item.session;
      return { next: revise(known.record, change) };
    });
    return isWritten ? session : undefined;
  }

  async #removeOwn(id: string, member: string): Promise<void> {
    const { key, seat } = this.#at(id);
    await seat.change(key, GROUP, (known) => {
      if (!known || known.record.members.get(member)?.session !== this.#store.session) return undefined;
      return { next: revise(known.record, (members) => members.delete(member)) };
    });
  }

  path(id: string, member: string): string {
    return `${this.#store.keys.group(id)} ${encodeURIComponent(member)}`;
  }

  async changed(id: string, at: Position, signal: AbortSignal): Promise<void> {
    const { clock } = this.#store;
    const { key, seat } = this.#at(id);
    const pace = new WatchPace();
    let from = 0;
    for (let checked = clock.now();;) {
      await sleep(clock, pace.pause(), signal);
      try {
        const record = (await seat.read(key, GROUP))?.record;
        if (!record || stateOf(record) !== at) return;
        if (clock.now() - checked < ROUND) continue;
        checked = clock.now();
        from = await this.#bury(id, record, from);
      } catch (error) {
        // The session asks for itself, and learns it then.
        if (error instanceof SessionGone) throw new Interrupted(error.message, { cause: error });
        throw error;
      }
    }
  }

  /** Looks at some members, from that one on, and removes the dead, which changes the group; says where to go on. */
  async #bury(id: string, record: GroupRecord, from: number): Promise<number> {
    const { key, seat } = this.#at(id);
    const all = [...record.members.values()].map(({ session }) => session);
    // Within a ttl everyone is looked at.
    const count = Math.max(SAMPLE, Math.ceil(all.length * ROUND / this.#store.ttl));
    const sample = all.slice(from, from + count);
    const alive = await seat.living(sample);
    const dead = new Set(sample.filter((session) => !alive.has(session)));
    if (dead.size > 0) {
      await seat.change(key, GROUP, (known) => {
        const gone = [...known?.record.members ?? []].filter(([, { session }]) => dead.has(session));
        if (!known || gone.length === 0) return undefined;
        return { next: revise(known.record, (members) => gone.forEach(([name]) => members.delete(name))) };
      });
    }
    return from + count >= all.length ? 0 : from + count;
  }

  #at(id: string) {
    const key = this.#store.keys.group(id);
    return { key, seat: this.#store.seat(key) };
  }
}
