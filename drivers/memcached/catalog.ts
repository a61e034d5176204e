import type { Seat } from "./seat.ts";
import type { Codec } from "./shelf.ts";
import type { MemcachedStore } from "./store.ts";
import { GROUP } from "./group_record.ts";

/** The ids of groups, and a number that every writing changes. */
interface Names {
  readonly writes: number;
  readonly ids: readonly string[];
}

const NAMES: Codec<Names> = {
  encode: ({ writes, ids }) => JSON.stringify([writes, ...ids]),
  decode: (text) => {
    // Written by encode() alone.
    const [writes, ...ids] = JSON.parse(text) as [number, ...string[]];
    return { writes, ids };
  },
};

/** The list of all groups of a namespace, since the server lists nothing. It may name too many, never too few. */
export class Catalog {
  readonly #store: MemcachedStore;
  readonly #key: string;
  readonly #seat: Seat;

  constructor(store: MemcachedStore) {
    this.#store = store;
    this.#key = store.keys.catalog;
    this.#seat = store.seat(this.#key);
  }

  async list(): Promise<string[]> {
    const { ids = [] } = (await this.#seat.read(this.#key, NAMES))?.record ?? {};
    const exist = await Promise.all(ids.map((id) => this.#exists(id)));
    return ids.filter((_, i) => exist[i]);
  }

  /**
   * Adds an id if it is missing. Who has made the group writes in any case: then nobody removes the id who looked for
   * the group before.
   */
  async add(id: string, isMade: boolean): Promise<void> {
    await this.#seat.change(this.#key, NAMES, (known) => {
      const { writes = 0, ids = [] } = known?.record ?? {};
      const isListed = ids.includes(id);
      if (isListed && !isMade) return undefined;
      return { next: { writes: writes + 1, ids: isListed ? ids : [...ids, id] } };
    });
  }

  /** Removes the id of a group that is gone. */
  async remove(id: string): Promise<void> {
    for (let isDone = false; !isDone;) {
      const seen = await this.#seat.read(this.#key, NAMES);
      if (!seen?.record.ids.includes(id) || await this.#exists(id)) return;
      await this.#seat.change(this.#key, NAMES, (known) => {
        isDone = known?.cas === seen.cas;
        if (!known || !isDone) return undefined;
        return {
          next: { writes: known.record.writes + 1, ids: known.record.ids.filter((one) => one !== id) },
        };
      });
    }
  }

  async #exists(id: string): Promise<boolean> {
    const key = this.#store.keys.group(id);
    return await this.#store.seat(key).read(key, GROUP) !== undefined;
  }
}
