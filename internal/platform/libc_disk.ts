import { Buffer } from "node:buffer";
import * as fs from "node:fs";
import * as path from "node:path";
import type { Disk } from "../files/disk.ts";
import { ifThere } from "../files/failure.ts";
import { writeWhole } from "./flock.ts";
import { failureOf, type Libc, toCString } from "./libc_calls.ts";
import { O_CLOEXEC } from "./ofd.ts";
import { isDirectory, statusAt } from "./statx.ts";

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_NOFOLLOW, O_DIRECTORY } = fs.constants;

/** Files and directories by the C library, for nobody but this user. Links are not followed. */
export function libcDisk(libc: Libc): Disk {
  const check = (result: number, call: string, path: string) => {
    if (result < 0) throw failureOf(libc, call, path);
  };
  const disk: Disk = {
    list: (path) =>
      withFile(libc, { path, flags: O_RDONLY | O_DIRECTORY }, (fd) => readNames(libc, fd, path)),
    makeDirectory: (path) => check(libc.mkdir(toCString(path), 0o700), "mkdir", path),
    removeDirectory: (path) => check(libc.rmdir(toCString(path)), "rmdir", path),
    remove: (path) => check(libc.unlink(toCString(path)), "unlink", path),
    removeTree: (path) => removeTree(libc, disk, path),
    rename: (from, to) => check(libc.rename(toCString(from), toCString(to)), "rename", from),
    read: (path) => withFile(libc, { path, flags: O_RDONLY }, (fd) => readText(libc, fd, path)),
    write: (path, text, how) =>
      write(libc, text, { path, flags: O_CREAT | (how === "new" ? O_EXCL : O_TRUNC) }),
    append: (path, text) => write(libc, text, { path, flags: O_APPEND }),
    truncate: (path) => write(libc, "", { path, flags: O_TRUNC }),
    stampOf(path) {
      const status = statusAt(libc, path);
      if (!status) return undefined;
      const { ino, modified, size } = status;
      return { text: `${ino} ${modified} ${size}`, modified };
    },
  };
  return disk;
}

function withFile<T>(
  libc: Libc,
  { path, flags }: { path: string; flags: number },
  step: (fd: number) => T,
): T {
  const fd = libc.open(toCString(path), flags | O_CLOEXEC | O_NOFOLLOW, 0o600);
  if (fd < 0) throw failureOf(libc, "open", path);
  try {
    return step(fd);
  } finally {
    libc.close(fd);
  }
}

function write(libc: Libc, text: string, { path, flags }: { path: string; flags: number }): void {
  withFile(libc, { path, flags: O_WRONLY | flags }, (fd) =>
    writeWhole(Buffer.from(text), (rest) => {
      const length = libc.write(fd, rest, rest.length);
      if (length < 0) throw failureOf(libc, "write", path);
      return length;
    }));
}

function readText(libc: Libc, fd: number, path: string): string {
  let bytes = Buffer.allocUnsafe(1024);
  for (let at = 0;;) {
    const length = libc.pread(fd, bytes.subarray(at), bytes.length - at, at);
    if (length < 0) throw failureOf(libc, "read", path);
    if (length === 0) return bytes.toString("utf8", 0, at);
    at += length;
    if (at === bytes.length) bytes = Buffer.concat([bytes], bytes.length * 4);
  }
}

/** Entries of getdents64(2): inode, offset, length of the entry, type, name with its end. */
function readNames(libc: Libc, fd: number, path: string): string[] {
  const names: string[] = [];
  const bytes = Buffer.allocUnsafe(8192);
  for (;;) {
    const length = libc.getdents64(fd, bytes, bytes.length);
    if (length < 0) throw failureOf(libc, "list", path);
    if (length === 0) return names;
    for (let at = 0; at < length; at += bytes.readUInt16LE(at + 16)) {
      const name = bytes.toString("utf8", at + 19, bytes.indexOf(0, at + 19));
      if (name !== "." && name !== "..") names.push(name);
    }
  }
}

function removeTree(libc: Libc, disk: Disk, place: string): void {
  const status = statusAt(libc, place);
  if (!status) return;
  if (!isDirectory(status)) return void ifThere(() => disk.remove(place));
  for (const name of ifThere(() => disk.list(place)) ?? []) removeTree(libc, disk, path.join(place, name));
  ifThere(() => disk.removeDirectory(place));
}
