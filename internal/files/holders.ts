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

/** How often a record that is just being written is read again at once. */
const TRIES = 3;

/** The longest pause before it is read again after that, in ms: who writes may be off the processor. */
const PAUSE = 2;

/** How long `breakLock` looks for a whole record, in ms: it is wanted only to ring who wrote it. */
const PATIENCE = 100;

/**
 * The exclusive holder: its record is in the lock file, and counts while its session lives.
 * @throws {ConnectionError} when there is a holder, but no whole record within the deadline
 */
export async function readExclusive(context: Context, dir: LockDir): Promise<OwnerRecord | undefined> {
  const { timeout, failures } = context;
  const owner = await readWhole(context, dir, timeout);
  if (owner !== TORN) return owner;
  const state = `it is locked, and its contents were torn for ${timeout} ms; does another program write it?`;
  throw failures.refuse(`read ${JSON.stringify(dir.lock)}`, state);
}

/** All holders that write records, which excludes other programs that lock the file. */
export async function readHolders(context: Context, dir: LockDir): Promise<OwnerRecord[]> {
  const exclusive = await readExclusive(context, dir);
  return exclusive ? [exclusive] : readShared(context, dir);
}

/** Reads until the record is whole: torn, it says nothing of whether there is a holder. */
async function readWhole(
  context: Context,
  dir: LockDir,
  patience: number,
): Promise<OwnerRecord | typeof TORN | undefined> {
  const { clock, ended } = context;
  const until = clock.now() + patience;
  for (;;) {
    const owner = readOnce(context, dir);
    if (owner !== TORN || clock.now() >= until) return owner;
    await sleep(clock, Math.random() * PAUSE);
    ended.throwIfAborted();
  }
}

function readOnce(context: Context, dir: LockDir): OwnerRecord | typeof TORN | undefined {
  const file = ifThere(() => context.platform.open(dir.lock, "read"));
  if (!file) return undefined;
  try {
    for (let i = 0; i < TRIES; i++) {
      const header = readAll(file);
      if (header === TORN) continue;
      const owner = header && parseRecord(header.record);
      return owner && context.isAlive(owner.session) ? owner : undefined;
    }
    // Only who holds the lock alone writes a record: where nobody does, the writer is dead.
    if (!file.tryLock(false)) return TORN;
    file.unlock();
  } finally {
    file.close();
  }
  // Whoever came meanwhile found it held.
  dir.ringLeaders();
  return undefined;
}

function readShared(context: Context, dir: LockDir): OwnerRecord[] {
  const holders: OwnerRecord[] = [];
  for (const name of listNames(context.disk, dir.holders)) {
    const owner = readHolder(context, dir, name);
    if (name.endsWith(".new") || !owner) continue;
    if (context.isAlive(owner.session)) holders.push(owner);
    else removeFile(context.disk, path.join(dir.holders, name));
  }
  return holders.sort((a, b) => (a.since ?? 0) - (b.since ?? 0));
}

function readHolder({ disk }: Context, dir: LockDir, name: string): OwnerRecord | undefined {
  return parseRecord(ifThere(() => disk.read(path.join(dir.holders, name))) ?? "");
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
    const exclusive = await readWhole(context, dir, PATIENCE);
    const found = typeof exclusive === "object" ? [exclusive] : readShared(context, dir);
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
    const owner = readHolder(context, dir, name);
    const isFormer = owner?.token === undefined ? before.has(name) : owner.token <= last;
    if (!isFormer) continue;
    removeFile(context.disk, path.join(dir.holders, name));
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
