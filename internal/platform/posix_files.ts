import * as fs from "node:fs";
import { type Access, type Identity, type LockFile, type Platform, writeWhole } from "./flock.ts";

/** flock(2) on a descriptor: true on success, false if it would have to wait; throws on any other failure. */
export type Flock = (fd: number, operation: number) => boolean;

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const LOCK_UN = 8;

const { O_RDONLY, O_RDWR, O_CREAT } = fs.constants;
const FLAGS: Readonly<Record<Access, number>> = { read: O_RDONLY, write: O_RDWR, create: O_RDWR | O_CREAT };

/** Files by `node:fs`, whose descriptors are real ones on Node and Bun, and a flock of the caller's. */
export function posixPlatform(flock: Flock): Platform {
  return {
    open: (path, access) => open(flock, fs.openSync(path, FLAGS[access])),
    identify: (path) => fs.statSync(path, { bigint: true, throwIfNoEntry: false }),
  };
}

function open(flock: Flock, fd: number): LockFile {
  let identity: Identity | undefined;
  return {
    identity: () => identity ??= fs.fstatSync(fd, { bigint: true }),
    tryLock: (exclusive) => flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB),
    unlock: () => void flock(fd, LOCK_UN),
    read: (into, position) => fs.readSync(fd, into, 0, into.length, position),
    write: (bytes, position) =>
      writeWhole(bytes, (rest, done) => fs.writeSync(fd, rest, 0, rest.length, position + done)),
    sync: () => sync(fd),
    close: () => fs.closeSync(fd),
  };
}

function sync(fd: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  fs.fdatasync(fd, (error) => error ? reject(error) : resolve());
  return promise;
}
