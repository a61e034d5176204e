import { randomUUID } from "node:crypto";
import * as path from "node:path";
import { ensureDirectory } from "../../internal/files/disk.ts";
import { layoutOf } from "../../internal/files/layout.ts";
import { encodeName } from "../../internal/files/names.ts";
import { isSame, type LockFile } from "../../internal/platform/flock.ts";
import { isDirectory, type Status, statusAt } from "../../internal/platform/statx.ts";
import { failures } from "./failure.ts";
import { type IpcLayout, PREFIX, SHM, type Tools } from "./tools.ts";

/**
 * So many tokens are reserved at once. They are nanoseconds where a namespace begins: as many are used up in less time
 * than a reservation takes, so that one that is removed and made anew is never behind.
 */
const BLOCK = 256n;

const WRITABLE_BY_OTHERS = 0o022;

/** What stands where below the directory of a namespace. */
export function layoutAt(root: string): IpcLayout {
  return { ...layoutOf(root, BLOCK), fence: path.join(root, "fence"), watches: path.join(root, "w") };
}

/** Makes the directory of a namespace, or says why it cannot be used. */
export function prepare({ libc, disk }: Tools, namespace: string): IpcLayout {
  const root = path.join(SHM, PREFIX + encodeName(namespace));
  failures.attempt(`use ${JSON.stringify(root)}`, () => {
    ensureDirectory(disk, root);
    const status = statusAt(libc, root);
    const foreign = status && foreignness(status, libc.geteuid());
    if (foreign !== undefined) throw failures.refuse(`use ${JSON.stringify(root)}`, foreign);
  });
  return layoutAt(root);
}

/** Anybody may make a directory in /dev/shm, so that its owner could change what we trust. */
function foreignness(status: Status, user: number): string | undefined {
  const { uid, mode } = status;
  const advice = "run as one user, or choose another namespace";
  if (!isDirectory(status)) return "it is no directory; remove it, or choose another namespace";
  if (uid !== user) return `it belongs to user ${uid}, and this is user ${user}; ${advice}`;
  return (mode & WRITABLE_BY_OTHERS) !== 0 ? `other users may write to it; ${advice}` : undefined;
}

/**
 * Removes all of a namespace, if nobody uses it: who uses it has its epoch locked. It goes out of sight whole, by a
 * rename, so that whoever has just opened something of it sees that it is not there any more.
 */
export function removeIfUnused({ platform, disk }: Tools, root: string, epoch: LockFile): void {
  // Of two that leave at once neither would get it while both still hold their own.
  epoch.unlock();
  if (!epoch.tryLock(true)) return;
  // Another one may stand there meanwhile, with its own users.
  if (!isSame(epoch.identity(), platform.identify(layoutAt(root).epoch))) return;
  const gone = path.join(SHM, `.${PREFIX}${randomUUID()}`);
  disk.rename(root, gone);
  disk.removeTree(gone);
}
