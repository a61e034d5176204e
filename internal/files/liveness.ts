import * as path from "node:path";
import type { LockFile, Platform } from "../platform/flock.ts";
import { type Disk, listNames, removeFile } from "./disk.ts";
import { ifThere } from "./failure.ts";

/** How many files a new session looks at, so that those of killed ones do not pile up. */
const SWEPT = 32;

/** Whether a text is the name of a session's file, and not somebody else's, or a path to elsewhere. */
export function isSessionId(text: unknown): text is string {
  return typeof text === "string" && /^[0-9a-f]{24}$/.test(text);
}

/** Whether a session lives: its file is locked exactly as long. */
export function isAlive(platform: Platform, sessions: string, sid: string): boolean {
  const dead = openDead(platform, path.join(sessions, sid));
  if (dead === "missing") return false;
  if (dead === "alive") return true;
  dead.unlock();
  dead.close();
  return false;
}

/** Removes some of the files that killed sessions left. */
export function sweep(platform: Platform, disk: Disk, sessions: string): void {
  const names = listNames(disk, sessions).filter(isSessionId);
  const start = Math.floor(Math.random() * names.length);
  for (const name of [...names.slice(start), ...names.slice(0, start)].slice(0, SWEPT)) {
    const file = path.join(sessions, name);
    const dead = openDead(platform, file);
    if (typeof dead === "string") continue;
    // Under the lock: a session that is being opened has made its file, but may not have locked it yet.
    removeFile(disk, file);
    dead.unlock();
    dead.close();
  }
}

/** Opens the file of a dead session, locked shared. Read-only, which disturbs nobody's watch. */
function openDead(platform: Platform, file: string): LockFile | "alive" | "missing" {
  const opened = ifThere(() => platform.open(file, "read"));
  if (!opened) return "missing";
  if (opened.tryLock(false)) return opened;
  opened.close();
  return "alive";
}
