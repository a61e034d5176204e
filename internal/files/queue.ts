import * as path from "node:path";
import type { Mode } from "../../driver.ts";
import { type Disk, ensureDirectory, inDirectory, listNames, removeFile, writeNew } from "./disk.ts";

/** A place in a queue: a file whose name says it all, `<number>-<x|r>-<session>-<unique>`. */
export interface Ticket {
  readonly file: string;
  readonly mode: Mode;
  readonly session: string;
}

const NAME = /^\d{15}-([xr])-([0-9a-f]{24})-[0-9a-z]+$/;

/** The waiters of one lock. It only gives the order: who holds is up to the lock. */
export class Queue {
  readonly #disk: Disk;
  readonly path: string;

  constructor(disk: Disk, path: string) {
    this.#disk = disk;
    this.path = path;
  }

  /** In order of arrival; of two that arrived at once either may come first, for everybody the same. */
  list(): Ticket[] {
    const tickets: Ticket[] = [];
    for (const file of listNames(this.#disk, this.path).sort()) {
      const [, letter, session] = NAME.exec(file) ?? [];
      if (session !== undefined) {
        tickets.push({ file, mode: letter === "x" ? "exclusive" : "shared", session });
      }
    }
    return tickets;
  }

  /** Joins at the end; `record` tells others who waits. */
  add(mode: Mode, options: { session: string; unique: string; record: string }): Ticket {
    const last = Number.parseInt(this.list().at(-1)?.file ?? "0", 10);
    const letter = mode === "exclusive" ? "x" : "r";
    const file = `${String(last + 1).padStart(15, "0")}-${letter}-${options.session}-${options.unique}`;
    inDirectory(
      () => ensureDirectory(this.#disk, this.path),
      () => writeNew(this.#disk, path.join(this.path, file), options.record),
    );
    return { file, mode, session: options.session };
  }

  /** False: it was not there. */
  remove(ticket: Ticket): boolean {
    return removeFile(this.#disk, path.join(this.path, ticket.file));
  }

  /** The record of a waiter; empty while it is being written. */
  read(ticket: Ticket): string {
    return this.#disk.read(path.join(this.path, ticket.file));
  }
}

/** Whose turn it is: the first writer, or all readers before it. */
export function leaders(tickets: readonly Ticket[]): readonly Ticket[] {
  if (tickets[0]?.mode !== "shared") return tickets.slice(0, 1);
  const writer = tickets.findIndex(({ mode }) => mode === "exclusive");
  return writer < 0 ? tickets : tickets.slice(0, writer);
}
