import { Failures } from "../../internal/files/failure.ts";

/** The name of this driver, for errors. */
export const DRIVER = "file";

const PERMISSION =
  "no permission; let this user read, write and enter the directory and all that is in it: what " +
  "another user makes there has what that user's umask leaves, so all of them need one such as 002 or 000";

/** What each error code means here, and what helps. */
const reasons: Readonly<Record<string, string>> = {
  EACCES: PERMISSION,
  EPERM: PERMISSION,
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
  ERR_ACCESS_DENIED: "Node does not permit it; all that is needed: --allow-fs-read=DIRECTORY " +
    "--allow-fs-write=DIRECTORY --allow-addons",
};

const permissions = "--allow-read=DIRECTORY --allow-write=DIRECTORY --allow-sys=statfs";

export const failures: Failures = new Failures(DRIVER, { reasons, permissions });
