import * as path from "node:path";
import { codeOf, ifThere } from "./failure.ts";

/** What a file is told by from the one that it replaces. */
export interface Stamp {
  /** Its inode, time and size. */
  readonly text: string;
  /** In ms since 1970, as exact as the file system is. */
  readonly modified: number;
}

/**
 * A clock of files ticks as seldom as every 10 ms, and a file that is replaced leaves its inode to the next: so long
 * after it was written, in ms, a stamp tells nothing for certain.
 */
const UNSURE = 50;

/** Whether an equal stamp that is seen from `now` on means the same file. */
export function isCertain({ modified }: Stamp, now: number): boolean {
  return modified + UNSURE < now;
}

/** What is done with files and directories, apart from locking. Errors have the system's `code`. */
export interface Disk {
  /** The names in a directory. */
  list(path: string): string[];
  /** Makes one directory. */
  makeDirectory(path: string): void;
  /** Removes an empty directory. */
  removeDirectory(path: string): void;
  /** Removes a file. */
  remove(path: string): void;
  /** Removes a directory with all that is in it, and follows no links; what somebody removes meanwhile is no failure. */
  removeTree(path: string): void;
  rename(from: string, to: string): void;
  read(path: string): string;
  /** Writes a whole file; `new`: refused where there is one. */
  write(path: string, text: string, how: "new" | "over"): void;
  /** Writes at the end of a file that is there. */
  append(path: string, text: string): void;
  /** Makes a file empty. */
  truncate(path: string): void;
  /** Undefined: there is no such file. */
  stampOf(path: string): Stamp | undefined;
}

/** The names in a directory; none if it is missing. */
export function listNames(disk: Disk, path: string): string[] {
  return ifThere(() => disk.list(path)) ?? [];
}

/** Removes a file; false: it was not there. */
export function removeFile(disk: Disk, path: string): boolean {
  return ifThere(() => (disk.remove(path), true)) ?? false;
}

/** Makes a directory, and those above it, unless it is there. */
export function ensureDirectory(disk: Disk, place: string): void {
  try {
    disk.makeDirectory(place);
  } catch (error) {
    const code = codeOf(error);
    if (code === "EEXIST") return;
    const above = path.dirname(place);
    if (code !== "ENOENT" || above === place) throw error;
    ensureDirectory(disk, above);
    ensureDirectory(disk, place);
  }
}

/** How often something that others remove is made again. */
const TRIES = 100;

/** Runs a step in a directory, which is made if it is missing, and again if somebody removes it just then. */
export function inDirectory<T>(make: () => void, step: () => T): T {
  for (let tries = 1;; tries++) {
    try {
      return step();
    } catch (error) {
      if (codeOf(error) !== "ENOENT" || tries === TRIES) throw error;
      make();
    }
  }
}

/** Writes a new file whole or not at all, as far as a disk that is full goes. */
export function writeNew(disk: Disk, file: string, text: string): void {
  try {
    disk.write(file, text, "new");
  } catch (error) {
    if (codeOf(error) !== "EEXIST") removeFile(disk, file);
    throw error;
  }
}

/** Puts another file in the place of one: readers see the old contents or the new ones, never a part. */
export function replaceFile(
  disk: Disk,
  file: string,
  { text, fresh }: { text: string; fresh: string },
): void {
  try {
    disk.write(fresh, text, "over");
    disk.rename(fresh, file);
  } catch (error) {
    removeFile(disk, fresh);
    throw error;
  }
}
