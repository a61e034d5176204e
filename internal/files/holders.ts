import { randomUUID } from "node:crypto";
import * as path from "node:path";
import type { LockFile } from "../platform/flock.ts";
import type { Context } from "./context.ts";
import { inDirectory, listNames, removeFile } from "./disk.ts";
import { ifThere } from "./failure.ts";
import { raise } from "./fence.ts";
import { sleep } from "../clock.ts";
import { withGate } from "./gate.ts";
import { readAll, TORN, writeHeader, writeQueued } from "./header.ts";
import type { LockDir } from "./lock_dir.ts";
import { type OwnerRecord, parseRecord } from "./record.ts";

/** How often a record that is just being written is read again, at once and after a rest. */
const TRIES = 3;

/** Who writes takes no longer, in ms, unless it is stopped by the system just then. */
const REST = 2;

/** After so many rests the file is torn for good, by a disk that was full or by somebody else. */
const RESTS = 50;

/**
 * The exclusive holder: its record is in the lock file, and counts while its session lives. Torn: it is just being
 * written, which says nothing of whether there is one.
 */
export function readExclusive(context: Context, dir: LockDir): OwnerRecord | typeof TORN | undefined {
  const file = ifThere(() => context.platform.open(dir.lock, "read"));
  if (!file) return undefined;
  try {
    for (let i = 0; i < TRIES; i++) {
      const header = readAll(file);
      if (header === TORN) continue;
      const owner = header && parseRecord(header.record);
      return owner && context.isAlive(owner.session) ? owner : undefined;
    }
    return TORN;
  } finally {
    file.close();
  }
}

async function readWhole(context: Context, dir: LockDir): Promise<OwnerRecord | undefined> {
  for (let i = 0; i < RESTS; i++) {
    const owner = readExclusive(context, dir);
    if (owner !== TORN) return owner;
    await sleep(context.clock, REST);
  }
  return undefined;
}

/** All holders that write records, which excludes other programs that lock the file. */
export async function readHolders(context: Context, dir: LockDir): Promise<OwnerRecord[]> {
  const exclusive = await readWhole(context, dir);
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
    const found = await readHolders(context, dir);
    if (found.length === 0 && isFree(dir)) return undefined;
    const before = new Set(listNames(context.disk, dir.holders));
    const last = await replace(context, dir, fence);
    return [...found, ...forget(context, dir, { before, last })];
  });
  if (!holders) return false;
  for (const session of new Set(holders.map((owner) => owner.session))) {
    context.wires.ring(session, { reason: "hold", key: dir.key });
  }
  dir.ringLeaders();
  context.wires.changed(dir.key);
  return true;
}

/**
 * Removes the records of the readers of a lock that was broken, and answers with them. Some may have come since it was
 * looked at; others have the new lock already, of which all tokens are greater than `last`.
 */
function forget(
  context: Context,
  dir: LockDir,
  { before, last }: { before: ReadonlySet<string>; last: bigint },
): OwnerRecord[] {
  const former: OwnerRecord[] = [];
  for (const name of listNames(context.disk, dir.holders)) {
    const file = path.join(dir.holders, name);
    const owner = parseRecord(ifThere(() => context.disk.read(file)) ?? "");
    const isFormer = owner?.token === undefined ? before.has(name) : owner.token <= last;
    if (!isFormer) continue;
    removeFile(context.disk, file);
    if (owner) former.push(owner);
  }
  return former;
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

/** Answers with a token that is greater than all of the old file's, and less than those of the new one. */
async function replace(context: Context, dir: LockDir, fence: LockFile): Promise<bigint> {
  const fresh = `${dir.lock}.${randomUUID()}`;
  const file = inDirectory(() => dir.ensure(), () => context.platform.open(fresh, "create"));
  try {
    const raised = await raise(context, fence);
    writeHeader(file, { epoch: context.epoch, ...raised, record: "" });
    // Somebody may wait; the next holder looks and takes the mark back.
    writeQueued(file, true);
    context.disk.rename(fresh, dir.lock);
    return raised.counter;
  } catch (error) {
    removeFile(context.disk, fresh);
    throw error;
  } finally {
    file.close();
  }
}
