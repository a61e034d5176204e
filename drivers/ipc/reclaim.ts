import * as path from "node:path";
import { listNames } from "../../internal/files/disk.ts";
import { isLink, statusAt } from "../../internal/platform/statx.ts";
import { layoutAt, removeIfUnused } from "./directory.ts";
import { idOf } from "./semaphore.ts";
import { PREFIX, SHM, type Tools } from "./tools.ts";

/** How long groups are left for the next one, in ms, since a session of their namespace came or went. */
const GROUPS_STAY = 3_600_000;

/** Removes what killed processes of this user left in /dev/shm, of whatever namespace. */
export function reclaim(tools: Tools): void {
  const user = tools.libc.geteuid();
  for (const name of tools.disk.list(SHM)) {
    const place = path.join(SHM, name);
    const step = stepFor(tools, name, place);
    const status = step && statusAt(tools.libc, place);
    // A link leads elsewhere.
    if (!step || status?.uid !== user || isLink(status)) continue;
    try {
      step();
    } catch {
      // Somebody else is at it, or has put something of another kind there.
    }
  }
}

function stepFor(tools: Tools, name: string, place: string): (() => void) | undefined {
  if (idOf(name) !== undefined) return () => removeSemaphoreFile(tools, place);
  if (name.startsWith(`.${PREFIX}`)) return () => tools.disk.removeTree(place);
  return name.startsWith(PREFIX) ? () => removeNamespace(tools, place) : undefined;
}

/** Groups outlive those who are killed: whoever comes next finds them, if that is soon. */
function hasGroups({ libc, disk, clock }: Tools, root: string): boolean {
  const { groups, sessions } = layoutAt(root);
  const status = statusAt(libc, sessions);
  const idle = clock.wall() - (status?.modified ?? 0);
  return idle < GROUPS_STAY && listNames(disk, groups).length > 0;
}

/** A living process has the file of its semaphore locked. */
function removeSemaphoreFile({ platform, disk }: Tools, place: string): void {
  const file = platform.open(place, "write");
  // Under the lock: a process that is being started has made it, but may not have locked it yet.
  if (file.tryLock(true)) disk.remove(place);
  file.close();
}

function removeNamespace(tools: Tools, root: string): void {
  if (hasGroups(tools, root)) return;
  // One that is just being made has no epoch yet: made here, it can be locked by one of us only.
  const epoch = tools.platform.open(layoutAt(root).epoch, "create");
  try {
    removeIfUnused(tools, root, epoch);
  } finally {
    epoch.close();
  }
}
