import { randomUUID } from "node:crypto";
import * as path from "node:path";
import type { LockFile } from "../platform/flock.ts";
import type { Context } from "./context.ts";
import { inDirectory, listNames, removeFile } from "./disk.ts";
import { ifThere } from "./failure.ts";
import { raise } from "./fence.ts";
import { withGate } from "./gate.ts";
import { readAll, writeHeader, writeQueued } from "./header.ts";
import type { LockDir } from "./lock_dir.ts";
import { type OwnerRecord, parseRecord } from "./record.ts";

/** How often a record that is just being written is read again. */
const TRIES = 3;

/** The exclusive holder: its record is in the lock file, and counts while its session lives. */
export function readExclusive(context: Context, dir: LockDir): OwnerRecord | undefined {
  const file = ifThere(() => context.platform.open(dir.lock, "read"));
  if (!file) return undefined;
  try {
    for (let i = 0; i < TRIES; i++) {
      const header = readAll(file);
      if (!header) continue;
      const owner = parseRecord(header.record);
      return owner && context.isAlive(owner.session) ? owner : undefined;
    }
    return undefined;
  } finally {
    file.close();
  }
}

/** All holders that write records, which excludes other programs that lock the file. */
export function readHolders(context: Context, dir: LockDir): OwnerRecord[] {
  const exclusive = readExclusive(context, dir);
  if (exclusive) return [exclusive];
  const holders: OwnerRecord[] = [];
  for (const name of listNames(context.disk, dir.holders)) {
    const file = path.join(dir.holders, name);
    const owner = parseRecord(ifThere(() => context.disk.read(file)) ?? "");
    if (name.endsWith(".new") || !owner) continue;
    if (context.isAlive(owner.session)) holders.push(owner);
    else removeFile(context.disk, file);
  }
  return holders.sort((a, b) => (a.since ?? 0) - (b.since ?? 0));
}

/** The waiters in order. */
export function readWaiters(dir: LockDir): OwnerRecord[] {
  return dir.waiters(Infinity).flatMap((ticket) =>
    parseRecord(ifThere(() => dir.queue.read(ticket)) ?? "") ?? []
  );
}

/**
 * Takes the lock away from its holders: another file takes the place of the one that they have locked. Its tokens start
 * above the fence, below which all of the old file's are. Answers whether there was a holder.
 */
export async function breakLock(context: Context, dir: LockDir): Promise<boolean> {
  if (context.platform.identify(dir.lock) === undefined) return false;
  const holders = await withGate(dir.fence, { keeper: context, create: true }, async (fence) => {
    const found = readHolders(context, dir);
    if (found.length === 0 && isFree(dir)) return undefined;
    await replace(context, dir, fence);
    for (const name of listNames(context.disk, dir.holders)) {
      removeFile(context.disk, path.join(dir.holders, name));
    }
    return found;
  });
  if (!holders) return false;
  for (const session of new Set(holders.map((owner) => owner.session))) {
    context.wires.ring(session, { reason: "hold", key: dir.key });
  }
  dir.ringLeaders();
  context.wires.changed(dir.key);
  return true;
}

/** Other programs may hold it without a record. */
function isFree(dir: LockDir): boolean {
  const file = dir.openCurrent();
  const free = file.tryLock(true);
  if (free) file.unlock();
  dir.keep(file);
  if (free) dir.ringLeaders();
  return free;
}

async function replace(context: Context, dir: LockDir, fence: LockFile): Promise<void> {
  const fresh = `${dir.lock}.${randomUUID()}`;
  const file = inDirectory(() => dir.ensure(), () => context.platform.open(fresh, "create"));
  try {
    writeHeader(file, { epoch: context.epoch, ...await raise(context, fence), record: "" });
    // Somebody may wait; the next holder looks and takes the mark back.
    writeQueued(file, true);
    context.disk.rename(fresh, dir.lock);
  } catch (error) {
    removeFile(context.disk, fresh);
    throw error;
  } finally {
    file.close();
  }
}
