import { ConnectionError, CoordError } from "../../core/errors.ts";

/** The name of this driver, for errors. */
export const DRIVER = "file";

/** What each error code means here, and what helps. */
const REASONS: Readonly<Record<string, string>> = {
  EACCES: "no permission; let this user read, write and enter the directory",
  EPERM: "no permission; let this user read, write and enter the directory",
  EROFS: "the file system is read-only; choose a directory that can be written",
  ENOSPC: "the disk is full, or has no free inodes; make room",
  EDQUOT: "the disk quota is used up; make room",
  ENOTDIR: "a part of the path is a file, not a directory; name a directory",
  EEXIST: "the path is a file, not a directory; name a directory",
  EISDIR: "a directory stands where a file should be; remove it, or name another directory",
  ENOENT: "the directory, or a file in it, is missing; was it removed?",
  ENAMETOOLONG: "the path is too long; name a directory with a shorter path",
  ELOOP: "the path has too many symbolic links; name the real directory",
  EMFILE: "too many open files; raise the limit (ulimit -n)",
  ENFILE: "the system has too many open files; close some",
  EIO: "the disk failed",
};

/** The error code of a failed file operation, alike on every runtime. */
export function codeOf(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as Error & { code?: unknown }).code : undefined;
  return typeof code === "string" ? code : undefined;
}

/** Turns a failed file operation into our error, with the reason and what helps. */
export function fail(action: string, cause: unknown): CoordError {
  if (cause instanceof CoordError) return cause;
  return new ConnectionError(`Cannot ${action}: ${reasonOf(cause)}`, { driver: DRIVER, cause });
}

function reasonOf(cause: unknown): string {
  const reason = REASONS[codeOf(cause) ?? ""];
  if (reason !== undefined) return reason;
  if (!(cause instanceof Error)) return String(cause);
  if (cause.name === "NotCapable") {
    const flags = "--allow-read=DIRECTORY --allow-write=DIRECTORY --allow-sys=statfs";
    return `Deno does not permit it (${cause.message}); all that is needed: ${flags}`;
  }
  return cause.message.replace(/^Cannot lock files: /, "");
}

/** Runs a step; what fails in it is turned into our error. */
export function attempt<T>(action: string, step: () => T): T {
  try {
    return step();
  } catch (cause) {
    throw fail(action, cause);
  }
}

/** Runs a step that answers undefined where a file or directory is missing. */
export function ifThere<T>(step: () => T): T | undefined {
  try {
    return step();
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}
