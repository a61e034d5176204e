import { LockBrokenError, LockLostError } from "../../core/errors.ts";
import type { Grant } from "../../driver.ts";
import { Alarm } from "../loss.ts";
import type { Context } from "./context.ts";
import { replaceFile } from "./disk.ts";
import { readQueued, writeHeader } from "./header.ts";
import { formatRecord } from "./record.ts";
import { erase, type Hold } from "./take.ts";

/** A lock held: a descriptor that carries the flock. */
export class FileGrant implements Grant {
  readonly #context: Context;
  readonly lost: Alarm = new Alarm();
  readonly #onEnd: (grant: FileGrant) => void;
  #hold: Hold;
  #isHeld = true;

  /** `onEnd` is called when the grant is over, however it ended. */
  constructor(context: Context, hold: Hold, onEnd: (grant: FileGrant) => void) {
    this.#context = context;
    this.#hold = hold;
    this.#onEnd = onEnd;
  }

  get key(): string {
    return this.#hold.dir.key;
  }

  get token(): bigint {
    return this.#hold.owner.token;
  }

  check(): Promise<boolean> {
    return Promise.try(() => this.look());
  }

  /** Whether it is still held; if not, the signal has fired. */
  look(): boolean {
    if (!this.#isHeld || this.#context.ended.aborted) return false;
    const { dir, file, owner } = this.#hold;
    const { failures } = this.#context;
    if (failures.attempt(`check lock file ${JSON.stringify(dir.lock)}`, () => dir.isCurrent(file))) {
      return true;
    }
    const isBroken = this.#context.platform.identify(dir.lock) !== undefined;
    this.#end();
    const what = `Lost the hold of ${JSON.stringify(dir.lock)} with token ${owner.token}`;
    this.lost.abort(
      isBroken
        ? new LockBrokenError(`${what}: the lock was broken`, { driver: failures.driver })
        : new LockLostError(`${what}: the file was removed`, { driver: failures.driver }),
    );
    return false;
  }

  update(value: string): Promise<boolean> {
    return Promise.try(() => {
      if (!this.look()) return false;
      const hold = this.#hold;
      const owner = { ...hold.owner, value };
      const record = formatRecord(owner);
      const action = `write the value of lock ${JSON.stringify(hold.dir.path)}`;
      this.#context.failures.attempt(action, () => rewrite(this.#context, hold, record));
      this.#hold = { ...hold, owner, header: hold.header && { ...hold.header, record } };
      this.#context.wires.changed(this.key);
      return true;
    });
  }

  release(): Promise<boolean> {
    return Promise.try(() => {
      if (!this.look()) return false;
      const { dir, file } = this.#hold;
      this.#end(true);
      dir.wasQueued = readQueued(file);
      if (dir.wasQueued) dir.ringLeaders();
      dir.keep(file);
      return true;
    });
  }

  /** Lets go without asking whether it was still held, at the end of the session. */
  abandon(): void {
    if (!this.#isHeld) return;
    const { dir, file } = this.#hold;
    this.#end(true);
    if (readQueued(file)) dir.ringLeaders();
    file.close();
  }

  /** Unlocks in words, since a child being started may hold a copy of the descriptor for a moment. */
  #end(keep = false): void {
    this.#isHeld = false;
    this.#onEnd(this);
    try {
      erase(this.#context, this.#hold);
    } catch {
      // A record that stays is not trusted once the session has ended, and is overwritten by the next holder.
    }
    this.#hold.file.unlock();
    if (!keep) this.#hold.file.close();
    this.#context.wires.changed(this.key);
  }
}

function rewrite({ disk }: Context, { record: file, file: lock, header }: Hold, record: string): void {
  if (file !== undefined) replaceFile(disk, file, { text: record, fresh: `${file}.new` });
  if (header === undefined) return;
  try {
    writeHeader(lock, { ...header, record });
  } catch (error) {
    // The disk may be full, with a part of it written; for the old one there is room.
    writeHeader(lock, header);
    throw error;
  }
}
