import type { Seat } from "./seat.ts";

/** So many records are looked at in one beat, though nothing speaks against them. */
const SAMPLE = 64;

/** Lines on one server, of which it shows when one is made anew. */
export interface District {
  readonly seat: Seat;
  readonly key: string;
}

/** Something that a session has in a record. */
export interface RollEntry {
  /** Where it shows that the record was made anew. */
  district?(): District;
  /** Asks whether it is there still. */
  isThere(): Promise<boolean>;
  /** Takes it out. */
  remove(): Promise<unknown>;
}

/**
 * What a session has on all servers: its entries in lines, and its memberships. A server may drop any record for want
 * of room. That does no harm until somebody makes it anew, which leaves a trace in the record's district: so with many
 * records only the districts are asked about in each beat, and a part of the records in turn.
 */
export class Roll {
  readonly #entries = new Map<string, RollEntry>();
  /** Those that somebody says were taken away. */
  readonly #suspects = new Set<string>();
  readonly #births = new Map<string, string>();
  #turn = 0;

  add(path: string, entry: RollEntry): void {
    this.#entries.set(path, entry);
  }

  delete(path: string): void {
    this.#entries.delete(path);
    this.#suspects.delete(path);
  }

  entries(): RollEntry[] {
    return [...this.#entries.values()];
  }

  suspect(paths: readonly string[]): void {
    for (const path of paths) if (this.#entries.has(path)) this.#suspects.add(path);
  }

  /** Those of the paths that are not known to be gone. */
  async check(paths: readonly string[]): Promise<ReadonlySet<string>> {
    const owned = new Set(paths);
    const from = this.#turn < paths.length ? this.#turn : 0;
    this.#turn = from + SAMPLE;
    const unsettled = paths.length > SAMPLE ? await this.#unsettled(paths) : [];
    const looked = new Set([...this.#suspects, ...unsettled, ...paths.slice(from, from + SAMPLE)]);
    const look = async (path: string) => {
      const isThere = await this.#entries.get(path)?.isThere() ?? false;
      this.#suspects.delete(path);
      if (!isThere) owned.delete(path);
    };
    await Promise.all([...looked].filter((path) => owned.has(path)).map(look));
    return owned;
  }

  /** Those in whose district a record was made since the last time. */
  async #unsettled(paths: readonly string[]): Promise<string[]> {
    const inhabitants = new Map<string, string[]>();
    const seats = new Map<string, District>();
    for (const path of paths) {
      const district = this.#entries.get(path)?.district?.();
      if (!district) continue;
      const name = `${district.seat.location} ${district.key}`;
      seats.set(name, district);
      inhabitants.set(name, [...inhabitants.get(name) ?? [], path]);
    }
    const changed = [...seats].map(async ([name, district]) => {
      const births = await district.seat.births(district.key);
      if (births === this.#births.get(name)) return [];
      // Looked at after this: what is made from now on changes it again.
      this.#births.set(name, births);
      return inhabitants.get(name) ?? [];
    });
    return (await Promise.all(changed)).flat();
  }
}
