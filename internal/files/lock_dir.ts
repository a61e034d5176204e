import * as path from "node:path";
import type { Target } from "../../driver.ts";
import { isSame, type LockFile } from "../platform/flock.ts";
import type { Context } from "./context.ts";
import { ensureDirectory, inDirectory } from "./disk.ts";
import { codeOf } from "./failure.ts";
import { encodeName } from "./names.ts";
import { leaders, Queue, type Ticket } from "./queue.ts";
import { retire } from "./retire.ts";

/** The directory of one lock, as seen by one session. */
export class LockDir {
  /** Names the lock in rings. */
  readonly key: string;
  readonly path: string;
  /** The stable path: flocked by the holders, never unlinked, replaced only by `break()`. */
  readonly lock: string;
  /** The gate of the rare steps; keeps the highest token that may have been given out. */
  readonly fence: string;
  /** A record for each shared holder. */
  readonly holders: string;
  readonly queue: Queue;
  /** Somebody waited, or may have, when this session looked last. */
  wasQueued = true;
  readonly #context: Context;
  #spare: LockFile | undefined;
  #isClosed = false;

  constructor(context: Context, { kind, name }: Target) {
    const folder = encodeName(name);
    this.#context = context;
    this.key = `${kind}/${folder}`;
    this.path = path.join(kind === "lock" ? context.layout.locks : context.layout.elections, folder);
    this.lock = path.join(this.path, "lock");
    this.fence = context.layout.fence ?? path.join(this.path, "fence");
    this.holders = path.join(this.path, "h");
    this.queue = new Queue(context.disk, path.join(this.path, "q"));
  }

  /** Opens the lock file, which nobody else of this process uses then: a lock belongs to a descriptor. */
  open(): LockFile {
    const spare = this.#spare;
    this.#spare = undefined;
    if (spare) return spare;
    return inDirectory(() => this.ensure(), () => this.#context.platform.open(this.lock, "create"));
  }

  /** As `open()`, of the file that newcomers open, too. */
  openCurrent(): LockFile {
    for (;;) {
      const file = this.open();
      if (this.isCurrent(file)) return file;
      file.close();
    }
  }

  /** Takes back an unlocked file, for the next `open()`. */
  keep(file: LockFile): void {
    if (this.#spare || this.#isClosed) file.close();
    else this.#spare = file;
    if (this.#isClosed) retire(this.#context, this);
  }

  /** Whether this is the file that newcomers lock too. */
  isCurrent(file: LockFile): boolean {
    return isSame(file.identity(), this.#context.platform.identify(this.lock));
  }

  /** Makes the directory if it is missing. */
  ensure(): void {
    try {
      this.#context.disk.makeDirectory(this.path);
    } catch (error) {
      if (codeOf(error) === "EEXIST") return;
      if (codeOf(error) !== "ENOENT") throw error;
      // Somebody removed what is above; if all of it, the session is over.
      this.#context.verify();
      this.#context.ended.throwIfAborted();
      ensureDirectory(this.#context.disk, this.path);
    }
  }

  /** The tickets of the living, from the first one on as far as `enough`; those of the dead are removed on the way. */
  waiters(enough = 1): Ticket[] {
    const living: Ticket[] = [];
    for (const ticket of this.queue.list()) {
      if (living.length >= enough) break;
      if (this.#context.isAlive(ticket.session)) living.push(ticket);
      else this.queue.remove(ticket);
    }
    return living;
  }

  /** Wakes those whose turn it is. A failure is theirs to notice: they look by themselves, too. */
  ringLeaders(): void {
    try {
      for (let dead = true; dead;) {
        dead = false;
        const first = leaders(this.queue.list());
        for (const { session } of first) this.#context.wires.ring(session, { reason: "wait", key: this.key });
        // After the rings, since the living should not wait for it.
        for (const ticket of first) {
          if (!this.#context.isAlive(ticket.session)) dead = this.queue.remove(ticket) || dead;
        }
      }
    } catch {
      // Nothing to hand on to, then.
    }
  }

  /** Keeps nothing open from now on; usable still, for who holds a lock of it. */
  close(): void {
    this.#isClosed = true;
    this.#spare?.close();
    this.#spare = undefined;
    retire(this.#context, this);
  }
}
