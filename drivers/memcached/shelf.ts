import { Buffer } from "node:buffer";
import { CapacityError } from "../../core/errors.ts";
import type { Clock } from "../../driver.ts";
import { sleep } from "../../internal/clock.ts";
import type { Link } from "./link.ts";

/** How a record stands in an item. */
export interface Codec<T> {
  encode(record: T): string;
  decode(text: string): T;
}

/** A record as it was read, and the item's version. */
export interface Known<T> {
  readonly record: T;
  readonly cas: string;
}

/** What a change makes of a record; no record: the item is deleted. */
export interface Change<T> {
  readonly next: T | undefined;
}

/** What became of a change. */
export interface Outcome<T> {
  /** As it stands now. */
  readonly record: T | undefined;
  readonly isWritten: boolean;
}

/** So many records are remembered, for the next change to need no reading. */
const CAPACITY = 1_024;
/** After so many conflicts in a row the next tries are spread in time. */
const PATIENCE = 3;

/** The records on one server, each in an item of its own that is changed only as the version that was read. */
export class Shelf {
  readonly #clock: Clock;
  readonly #limit: number;
  /** What was read or written last, and on which link: on another its version means nothing. */
  readonly #known = new Map<string, Known<unknown> & { readonly link: Link }>();

  /** @param limit how long changes that conflict are tried again, in ms */
  constructor(clock: Clock, limit: number) {
    this.#clock = clock;
    this.#limit = limit;
  }

  /** Reads a record; undefined: there is none. */
  async read<T>(link: Link, key: string, codec: Codec<T>): Promise<Known<T> | undefined> {
    const { code, value, cas } = await link.ask(`mg ${key} v c`);
    if (code !== "VA") return this.#forget(key);
    const before = this.#recall<T>(link, key);
    if (before?.cas === cas) return before;
    return this.#remember(link, key, { record: codec.decode(value), cas });
  }

  /** The same for a record that has hardly changed: asks for its version first. */
  async peek<T>(link: Link, key: string, codec: Codec<T>): Promise<Known<T> | undefined> {
    const { code, cas } = await link.ask(`mg ${key} c`);
    if (code !== "HD") return this.#forget(key);
    const before = this.#recall<T>(link, key);
    return before?.cas === cas ? before : await this.read(link, key, codec);
  }

  /**
   * Changes a record, again and again until nobody else has changed it meanwhile.
   * @param make makes the change of what stands there; undefined: there is nothing to change
   */
  async change<T>(
    link: Link,
    key: string,
    codec: Codec<T>,
    make: (known: Known<T> | undefined) => Change<T> | undefined,
  ): Promise<Outcome<T>> {
    const until = this.#clock.now() + this.#limit;
    let known = this.#recall<T>(link, key);
    let isFresh = false;
    for (let conflicts = 0;; conflicts++) {
      const change = known || isFresh ? make(known) : undefined;
      if (change && await this.#write(link, key, codec, known, change)) {
        return { record: change.next, isWritten: true };
      }
      // What is only remembered cannot prove that there is nothing to do.
      if (isFresh && !change) return { record: known?.record, isWritten: false };
      if (this.#clock.now() > until) throw new Error("too many clients change one record at one time");
      if (conflicts > PATIENCE) await sleep(this.#clock, Math.random() * Math.min(conflicts, 20));
      known = await this.read(link, key, codec);
      isFresh = true;
    }
  }

  /** Makes a record where there is none; false: there is one. */
  add<T>(link: Link, key: string, codec: Codec<T>, record: T): Promise<boolean> {
    return this.#store(link, key, codec, record, "ME");
  }

  #write<T>(
    link: Link,
    key: string,
    codec: Codec<T>,
    known: Known<T> | undefined,
    { next }: Change<T>,
  ): Promise<boolean> {
    if (next !== undefined) return this.#store(link, key, codec, next, known ? `C${known.cas}` : "ME");
    return known ? this.#delete(link, key, known.cas) : Promise.resolve(true);
  }

  async #delete(link: Link, key: string, cas: string): Promise<boolean> {
    this.#forget(key);
    const { code } = await link.ask(`md ${key} C${cas}`);
    return code === "HD";
  }

  async #store<T>(link: Link, key: string, codec: Codec<T>, record: T, condition: string): Promise<boolean> {
    const text = codec.encode(record);
    const size = Buffer.byteLength(text);
    // The server would delete the item that it cannot replace.
    if (size > link.largest) {
      const advice = `the server takes ${link.largest}; raise its -I, or store less in one value`;
      throw new CapacityError(`Cannot store "${key}": it would take ${size} bytes, and ${advice}`, {
        driver: "memcached",
      });
    }
    this.#forget(key);
    const { code, cas } = await link.ask(`ms ${key} ${size} c ${condition}`, text);
    if (code !== "HD") return false;
    this.#remember(link, key, { record, cas });
    return true;
  }

  #recall<T>(link: Link, key: string): Known<T> | undefined {
    const known = this.#known.get(key);
    // One key has one kind of record.
    return known?.link === link ? known as Known<T> & { readonly link: Link } : undefined;
  }

  #remember<T>(link: Link, key: string, { record, cas }: Known<T>): Known<T> {
    const known = { record, cas, link };
    if (this.#known.size >= CAPACITY) this.#forget(this.#known.keys().next().value ?? key);
    this.#known.set(key, known);
    return known;
  }

  #forget(key: string): undefined {
    this.#known.delete(key);
  }
}
