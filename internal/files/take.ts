import * as path from "node:path";
import type { Attempt } from "../../driver.ts";
import type { LockFile } from "../platform/flock.ts";
import type { Context } from "./context.ts";
import { ensureDirectory, inDirectory, removeFile, writeNew } from "./disk.ts";
import { hasRoom, reserve } from "./fence.ts";
import {
  eraseRecord,
  type Header,
  readHeader,
  readQueued,
  type Stored,
  writeHeader,
  writeQueued,
} from "./header.ts";
import type { LockDir } from "./lock_dir.ts";
import type { Ticket } from "./queue.ts";
import { formatRecord, type OwnerRecord } from "./record.ts";

/** A lock that was taken. */
export interface Hold {
  readonly dir: LockDir;
  readonly file: LockFile;
  readonly owner: OwnerRecord & { readonly token: bigint };
  /** As it was written; undefined for a shared hold, which owns no part of the lock file. */
  readonly header: Header | undefined;
  /** The file of the owner's record; undefined for an exclusive hold, whose record is in the lock file. */
  readonly record: string | undefined;
}

/**
 * Tries once. Undefined: the lock is held, or others wait for it and there is no ticket that says that it is our turn.
 * The order of steps matters: lock, write, and only then look whether the file is still the lock. `break()` replaces
 * the file, and what was written to the old one reaches nobody.
 */
export async function take(
  context: Context,
  dir: LockDir,
  options: { attempt: Attempt; ticket?: Ticket },
): Promise<Hold | undefined> {
  const { attempt, ticket } = options;
  const exclusive = attempt.mode === "exclusive";
  for (;;) {
    const file = dir.open();
    let hold: Hold | undefined;
    try {
      // Before the try: who lets go after it failed reads this.
      const mayWait = (ticket || dir.wasQueued) && readQueued(file);
      if (ticket && !mayWait) writeQueued(file, true);
      // Not even a try, which would be in the way of those who wait.
      if (!ticket && mayWait && dir.waiters().length > 0) {
        dir.keep(file);
        return undefined;
      }
      if (file.tryLock(exclusive)) {
        const { queued, header } = readHeader(file);
        dir.wasQueued = queued;
        if (!ticket && queued && mustQueue(dir, file, exclusive)) return undefined;
        hold = await stamp(context, dir, { file, attempt, found: header });
        if (hold && dir.isCurrent(file)) return confirm(context, hold, attempt);
      } else if (dir.isCurrent(file)) {
        dir.wasQueued = true;
        dir.keep(file);
        return undefined;
      }
    } catch (error) {
      undo(context, file, hold);
      throw error;
    }
    undo(context, file, hold);
  }
}

/** Holding the lock without a ticket: whether others wait, who are then rung, as we may have been in their way. */
function mustQueue(dir: LockDir, file: LockFile, exclusive: boolean): boolean {
  if (dir.waiters().length === 0) {
    if (exclusive) clearQueued(dir, file);
    return false;
  }
  file.unlock();
  dir.keep(file);
  dir.ringLeaders();
  return true;
}

/** Takes the mark back, holding the lock alone: a ticket that came just before is seen by the second look. */
export function clearQueued(dir: LockDir, file: LockFile): void {
  writeQueued(file, false);
  if (dir.queue.list().length > 0) writeQueued(file, true);
}

/** Gives the attempt its token and writes down who holds. Undefined: the file is not the lock any more. */
async function stamp(
  context: Context,
  dir: LockDir,
  { file, attempt, found }: { file: LockFile; attempt: Attempt; found: Stored | undefined },
): Promise<Hold | undefined> {
  const exclusive = attempt.mode === "exclusive";
  const usable = found && (exclusive ? hasRoom(found, context.epoch) : found.epoch === context.epoch);
  const header = usable ? found : await reserve(context, dir, file);
  if (!header) return undefined;
  // Shared grants write no counter, as they overlap: theirs is between two exclusive ones.
  const token = header.counter + (exclusive ? 2n : 1n);
  const { id, mode, value } = attempt;
  const { sid: session, memberId } = context;
  const owner = { session, memberId, attempt: id, mode, token, since: context.clock.wall(), value };
  const record = formatRecord(owner);
  if (!exclusive) return { dir, file, owner, header: undefined, record: writeHolder(context, dir, record) };
  const written = { ...header, counter: token, record };
  writeHeader(file, written);
  return { dir, file, owner, header: written, record: undefined };
}

function writeHolder(context: Context, dir: LockDir, record: string): string {
  const file = path.join(dir.holders, `${context.sid}-${context.unique()}`);
  inDirectory(
    () => ensureDirectory(context.disk, dir.holders),
    () => writeNew(context.disk, file, record),
  );
  return file;
}

/** The caller may have given up, or the session ended, while tokens were reserved. */
function confirm(context: Context, hold: Hold, { signal }: Attempt): Hold {
  context.ended.throwIfAborted();
  signal.throwIfAborted();
  return hold;
}

/** Lets go of what was not granted, without a trace. */
function undo(context: Context, file: LockFile, hold: Hold | undefined): void {
  try {
    if (hold) erase(context, hold);
  } finally {
    file.unlock();
    // Whoever came meanwhile found it held.
    if (hold) hold.dir.ringLeaders();
    file.close();
  }
}

/** Removes the record of a holder, before the lock is let go. */
export function erase({ disk }: Context, { file, header, record }: Hold): void {
  if (record !== undefined) removeFile(disk, record);
  if (header !== undefined) eraseRecord(file);
}
