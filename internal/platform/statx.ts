import type { Identity } from "./flock.ts";
import { failureOf, type Libc, toCString } from "./libc_calls.ts";

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_EMPTY_PATH = 0x1000;
const STATX_BASIC_STATS = 0x7ff;

/** What statx(2) says of a file, a link or a directory. */
export interface Status {
  readonly uid: number;
  readonly mode: number;
  readonly size: number;
  readonly ino: bigint;
  /** In ms since 1970, with parts of them. */
  readonly modified: number;
}

const KIND = 0o170000;
const DIRECTORY = 0o040000;
const LINK = 0o120000;

export function isDirectory({ mode }: Pick<Status, "mode">): boolean {
  return (mode & KIND) === DIRECTORY;
}

export function isLink({ mode }: Pick<Status, "mode">): boolean {
  return (mode & KIND) === LINK;
}

const bytes = new Uint8Array(256);
const view = new DataView(bytes.buffer);
const EMPTY = toCString("");

/** Undefined: there is no such file. */
export function statusAt(libc: Libc, path: string): Status | undefined {
  if (!look(libc, path)) return undefined;
  return {
    uid: view.getUint32(20, true),
    mode: view.getUint16(28, true),
    ino: view.getBigUint64(32, true),
    size: Number(view.getBigUint64(40, true)),
    modified: Number(view.getBigInt64(112, true)) * 1e3 + view.getUint32(120, true) / 1e6,
  };
}

/** Undefined: there is no such file. */
export function identityAt(libc: Libc, path: string): Identity | undefined {
  return look(libc, path) ? identity() : undefined;
}

export function identityOf(libc: Libc, fd: number, path: string): Identity {
  if (libc.statx(fd, EMPTY, AT_EMPTY_PATH, STATX_BASIC_STATS, bytes) === 0) return identity();
  throw failureOf(libc, "stat", path);
}

function look(libc: Libc, path: string): boolean {
  const done = libc.statx(AT_FDCWD, toCString(path), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, bytes);
  if (done === 0) return true;
  const failure = failureOf(libc, "stat", path);
  if (failure.code === "ENOENT") return false;
  throw failure;
}

function identity(): Identity {
  return {
    dev: view.getUint32(136, true) * 2 ** 20 + view.getUint32(140, true),
    ino: view.getBigUint64(32, true),
  };
}
