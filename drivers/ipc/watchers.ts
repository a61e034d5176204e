import * as path from "node:path";
import { type Disk, ensureDirectory, inDirectory, listNames, removeFile } from "../../internal/files/disk.ts";
import { isSessionId } from "../../internal/files/liveness.ts";

/** Rings a session about a key; false: it is dead. */
type Tell = (sid: string, key: string) => boolean;

/**
 * Who watches what: for each key a directory, with an empty file for each session that watches. So who changes
 * something knows whom to ring.
 */
export class Watchers {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #tell: Tell;
  readonly #own = new Map<string, Set<() => void>>();

  constructor(disk: Disk, directory: string, tell: Tell) {
    this.#disk = disk;
    this.#directory = directory;
    this.#tell = tell;
  }

  /** Calls `fn` at every change. Returns what ends it. */
  add(sid: string, key: string, fn: () => void): () => void {
    const fns = this.#own.get(key) ?? new Set();
    if (fns.size === 0) this.#enter(sid, key);
    this.#own.set(key, fns.add(fn));
    return () => {
      if (!fns.delete(fn) || fns.size > 0) return;
      this.#own.delete(key);
      this.#remove(sid, key);
    };
  }

  /** Somebody has rung about a key, or about anything. */
  hear(key: string | undefined): void {
    const all = key === undefined ? [...this.#own.values()] : [this.#own.get(key) ?? []];
    for (const fns of all) for (const fn of [...fns]) fn();
  }

  /** Rings all who watch a key. */
  changed(key: string): void {
    try {
      for (const sid of listNames(this.#disk, path.join(this.#directory, key))) {
        if (isSessionId(sid) && !this.#tell(sid, key)) this.#remove(sid, key);
      }
    } catch {
      // They look by themselves, too.
    }
  }

  #enter(sid: string, key: string): void {
    const place = path.join(this.#directory, key);
    inDirectory(
      () => ensureDirectory(this.#disk, place),
      () => this.#disk.write(path.join(place, sid), "", "over"),
    );
  }

  #remove(sid: string, key: string): void {
    const place = path.join(this.#directory, key);
    try {
      removeFile(this.#disk, path.join(place, sid));
      this.#disk.removeDirectory(place);
    } catch {
      // Others watch, too; or all of it is gone.
    }
  }
}
