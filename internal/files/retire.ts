import * as path from "node:path";
import type { Context } from "./context.ts";
import { type Disk, listNames, removeFile } from "./disk.ts";
import { ifThere } from "./failure.ts";
import type { LockDir } from "./lock_dir.ts";

/**
 * Removes a lock's directory, if nobody holds the lock or waits for it and its tokens go on elsewhere: see
 * `Layout.fence`. Whoever has just opened something in it finds that it is gone, and makes it anew.
 */
export function retire(context: Context, dir: LockDir): void {
  if (context.layout.fence === undefined) return;
  try {
    const file = ifThere(() => context.platform.open(dir.lock, "write"));
    if (!file) return;
    const isFree = file.tryLock(true);
    if (isFree && dir.isCurrent(file) && dir.waiters().length === 0) remove(context.disk, dir);
    file.unlock();
    file.close();
    // Who came meanwhile found it held.
    if (isFree) dir.ringLeaders();
  } catch {
    // It stays, for the next one who is done with it.
  }
}

/** Holding the lock alone, so that what shared holders wrote is of dead ones. */
function remove(disk: Disk, dir: LockDir): void {
  const dead = listNames(disk, dir.holders);
  removeFile(disk, dir.lock);
  for (const name of dead) removeFile(disk, path.join(dir.holders, name));
  for (const place of [dir.holders, dir.queue.path, dir.path]) removeIfEmpty(disk, place);
}

function removeIfEmpty(disk: Disk, place: string): void {
  try {
    disk.removeDirectory(place);
  } catch {
    // It was never made, or somebody has already come back.
  }
}
