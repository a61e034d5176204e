import type { Target } from "../../driver.ts";
import { sleep } from "../../internal/clock.ts";
import {
  Interrupted,
  type Line,
  type LineEntry,
  type NewEntry,
  type Place,
  type Position,
  SessionGone,
  type Standing,
} from "../../internal/tree/store.ts";
import {
  ahead,
  countHolders,
  decodeLine,
  encodeLine,
  type LineItem,
  type LineRecord,
  NEW_LINE,
} from "./line_record.ts";
import { LinePace, WatchPace } from "./pace.ts";
import type { Seat } from "./seat.ts";
import type { Codec, Known } from "./shelf.ts";
import type { MemcachedStore } from "./store.ts";

const LINE: Codec<LineRecord> = { encode: encodeLine, decode: decodeLine };

/** Tokens begin with the server's seconds since 2020, so that 63 bits are enough for them until 2088. */
const EPOCH = 1_577_836_800;

/** How long a line stands still before it is looked whether those who hold it up are dead, in ms. */
const STILL = 1_000;

/** A position that only a list gives: who waits from there on is no waiter, but looks on. */
const LOOKING_ON = "list";

/** The queue of a lock or an election: one item, changed only as the version that was read. */
export class MemcachedLine implements Line {
  readonly #store: MemcachedStore;
  readonly #key: string;
  readonly #seat: Seat;

  constructor(store: MemcachedStore, target: Target) {
    this.#store = store;
    this.#key = store.keys.line(target);
    this.#seat = store.seat(this.#key);
  }

  async enter(entry: NewEntry): Promise<Standing> {
    let time: number | undefined;
    const isOwn = ({ id }: LineItem) => id === entry.id;
    for (;;) {
      let isNew = false;
      const { record } = await this.#seat.change(this.#key, LINE, (known) => {
        isNew = false;
        if (known?.record.items.some(isOwn)) return undefined;
        isNew = known === undefined || (known.record.last === undefined && time === undefined);
        return isNew || !known ? undefined : { next: this.#append(known, entry, time) };
      });
      if (record && !isNew) {
        this.#store.note(this.#path(entry.id), {
          district: () => ({ key: this.#store.keys.births(this.#key), seat: this.#seat }),
          isThere: async () => (await this.#seat.peek(this.#key, LINE))?.record.items.some(isOwn) ?? false,
          remove: () => this.leave(entry),
        });
        const standing = this.#standing(entry, record);
        if (standing?.ahead === undefined) return standing ?? await this.enter(entry);
        return await this.#standAtLeast(entry, record) ?? await this.enter(entry);
      }
      time = await this.#seat.begin(this.#key, LINE, NEW_LINE);
    }
  }

  #append({ record, cas }: Known<LineRecord>, { id, mode, value }: NewEntry, time = 0): LineRecord {
    // Every grant makes a version, so within a second of the server the version counts what was lost.
    const first = (BigInt(time - EPOCH) << 32n) + (BigInt(cas) & 0xffff_ffffn);
    const token = record.last === undefined ? first : record.last + 1n;
    const item = { id, session: this.#store.session, mode, token, value };
    return { last: token, items: [...record.items, item] };
  }

  /** The entry is made: that nothing more could be asked does not undo it. */
  async #standAtLeast(entry: NewEntry, record: LineRecord): Promise<Standing | undefined> {
    try {
      return await this.#stand(entry, record);
    } catch (error) {
      if (!(error instanceof Interrupted)) throw error;
      return this.#standing(entry, record);
    }
  }

  #standing({ id }: { readonly id: string }, record: LineRecord): Standing | undefined {
    const own = record.items.find((item) => item.id === id);
    if (!own) return undefined;
    const before = ahead(record.items, own);
    return {
      place: { path: this.#path(id), token: own.token },
      ahead: before && this.#path(before.id),
      at: "",
    };
  }

  /** Where an entry stands, once the dead before it are gone. */
  async #stand(entry: { readonly id: string }, record: LineRecord): Promise<Standing | undefined> {
    for (let now = record;;) {
      const standing = this.#standing(entry, now);
      const cleared = standing?.ahead === undefined ? undefined : await this.#bury(now);
      if (!cleared) return standing;
      now = cleared;
    }
  }

  /** Removes the entries of the dead; undefined: all live. */
  async #bury(record: LineRecord): Promise<LineRecord | undefined> {
    const alive = await this.#seat.living(record.items.map(({ session }) => session));
    const dead = new Set(record.items.map(({ session }) => session).filter((one) => !alive.has(one)));
    if (dead.size === 0) return undefined;
    const outcome = await this.#remove(({ session }) => dead.has(session));
    return outcome.record ?? NEW_LINE;
  }

  #remove(which: (item: LineItem) => boolean) {
    return this.#seat.change(this.#key, LINE, (known) => {
      const items = known?.record.items.filter((item) => !which(item)) ?? [];
      if (!known || items.length === known.record.items.length) return undefined;
      return { next: { ...known.record, items } };
    });
  }

  async look(entry: NewEntry): Promise<Standing | undefined> {
    const known = await this.#seat.read(this.#key, LINE);
    return known && await this.#stand(entry, known.record);
  }

  async leave({ id }: { readonly id: string }): Promise<boolean> {
    const { isWritten } = await this.#remove((item) => item.id === id);
    this.#store.forget(this.#path(id));
    return isWritten;
  }

  async amend({ path }: Place, value: string): Promise<boolean> {
    const { isWritten } = await this.#seat.change(this.#key, LINE, (known) => {
      if (!known?.record.items.some((item) => this.#path(item.id) === path)) return undefined;
      const items = known.record.items.map((item) =>
        this.#path(item.id) === path ? { ...item, value } : item
      );
      return { next: { ...known.record, items } };
    });
    return isWritten;
  }

  async list(): Promise<{ entries: LineEntry[]; at: Position }> {
    const known = await this.#seat.read(this.#key, LINE);
    if (!known) return { entries: [], at: LOOKING_ON };
    const record = await this.#bury(known.record) ?? known.record;
    const entries = record.items.map((item) => ({ ...item, path: this.#path(item.id) }));
    return { entries, at: LOOKING_ON + textOf(record) };
  }

  async remove({ path }: Place): Promise<boolean> {
    let session: string | undefined;
    const { isWritten } = await this.#remove((item) => {
      if (this.#path(item.id) !== path) return false;
      session = item.session;
      return true;
    });
    if (isWritten && session !== undefined) await this.#store.tell(this.#seat, session, path);
    return isWritten;
  }

  async changed(path: string | undefined, at: Position, signal: AbortSignal): Promise<void> {
    const { clock } = this.#store;
    const isWaiter = !at.startsWith(LOOKING_ON);
    const [line, watch] = [new LinePace(clock), new WatchPace()];
    let place = 0;
    for (let checked = clock.now();;) {
      await sleep(clock, isWaiter ? line.pause(place) : watch.pause(), signal);
      const record = await this.#poll();
      const awaited = record.items.findIndex(({ id }) => this.#path(id) === path);
      if (isWaiter ? awaited < 0 : LOOKING_ON + textOf(record) !== at) return;
      place = Math.max(awaited - countHolders(record.items) + 1, 0);
      const one = record.items[awaited];
      if (!one || clock.now() - checked < STILL) continue;
      checked = clock.now();
      if (!(await this.#seat.living([one.session])).has(one.session)) await this.#bury(record);
    }
  }

  async #poll(): Promise<LineRecord> {
    try {
      return (await this.#seat.read(this.#key, LINE))?.record ?? NEW_LINE;
    } catch (error) {
      // The session asks for itself, and learns it then.
      if (error instanceof SessionGone) throw new Interrupted(error.message, { cause: error });
      throw error;
    }
  }

  #path(id: string): string {
    return `${this.#key} ${id}`;
  }
}

/** What a watcher of the line may see. */
function textOf({ items: [first] }: LineRecord): string {
  return first ? ` ${first.id} ${first.value}` : "";
}
