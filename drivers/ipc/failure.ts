import { Failures } from "../../internal/files/failure.ts";

/** The name of this driver, for errors. */
export const DRIVER = "ipc";

const PERMISSION = "no permission; let this user write to /dev/shm, and to what this namespace has there";
const FULL = "/dev/shm is full, or has no inodes left; make it larger, or remove what fills it";

/** What each error code means here, and what helps. */
const reasons: Readonly<Record<string, string>> = {
  EACCES: PERMISSION,
  EPERM: PERMISSION,
  EROFS: "/dev/shm is read-only; mount it so that it can be written",
  ENOSPC: FULL,
  EDQUOT: FULL,
  ENOMEM: "the system has no memory left",
  ENOTDIR: "a file stands where a directory should be; remove it, or choose another namespace",
  EISDIR: "a directory stands where a file should be; remove it, or choose another namespace",
  ELOOP: "a link stands where a file should be; remove it, or choose another namespace",
  ENOENT: "/dev/shm, or something of this namespace in it, is missing; was it removed?",
  EMFILE: "too many open files; raise the limit (ulimit -n)",
  ENFILE: "the system has too many open files; close some",
  ENOSYS: "the system lacks a call; it needs Linux 4.11 with glibc 2.34 or later",
};

export const failures: Failures = new Failures(DRIVER, { reasons, permissions: "--allow-ffi" });
