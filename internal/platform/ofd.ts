import * as fs from "node:fs";
import { type Access, type Identity, type LockFile, type Platform, writeWhole } from "./flock.ts";
import { failureOf, type Libc, toCString } from "./libc_calls.ts";
import { identityAt, identityOf } from "./statx.ts";

const { O_RDONLY, O_RDWR, O_CREAT, O_NOFOLLOW } = fs.constants;

/** Not among the constants of `node:fs`; the same on all architectures of Linux that are supported. */
export const O_CLOEXEC = 0o2000000;

const FLAGS: Readonly<Record<Access, number>> = {
  read: O_RDONLY | O_CLOEXEC | O_NOFOLLOW,
  write: O_RDWR | O_CLOEXEC | O_NOFOLLOW,
  create: O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
};

const F_OFD_SETLK = 37;
const SHARED = toFlock(0);
const EXCLUSIVE = toFlock(1);
const UNLOCK = toFlock(2);
const EINTR = 4;
const EAGAIN = 11;

/** `struct flock` for a whole file: type, whence, start, length, pid. */
function toFlock(type: number): Uint8Array {
  const flock = new Uint8Array(32);
  new DataView(flock.buffer).setInt16(0, type, true);
  return flock;
}

/** Files by the C library, with locks that belong to the open file: the kernel frees them when the process ends. */
export function ofdPlatform(libc: Libc): Platform {
  return {
    open: (path, access) => new OfdFile(libc, path, access),
    identify: (path) => identityAt(libc, path),
  };
}

class OfdFile implements LockFile {
  readonly #libc: Libc;
  readonly #path: string;
  readonly #fd: number;
  #identity: Identity | undefined;

  constructor(libc: Libc, path: string, access: Access) {
    this.#libc = libc;
    this.#path = path;
    this.#fd = libc.open(toCString(path), FLAGS[access], 0o600);
    if (this.#fd < 0) throw failureOf(libc, "open", path);
  }

  identity(): Identity {
    return this.#identity ??= identityOf(this.#libc, this.#fd, this.#path);
  }

  tryLock(exclusive: boolean): boolean {
    return this.#set(exclusive ? EXCLUSIVE : SHARED);
  }

  unlock(): void {
    this.#set(UNLOCK);
  }

  read(into: Uint8Array, position: number): number {
    const length = this.#libc.pread(this.#fd, into, into.length, position);
    if (length < 0) throw failureOf(this.#libc, "read", this.#path);
    return length;
  }

  write(bytes: Uint8Array, position: number): void {
    writeWhole(bytes, (rest, done) => {
      const length = this.#libc.pwrite(this.#fd, rest, rest.length, position + done);
      if (length < 0) throw failureOf(this.#libc, "write", this.#path);
      return length;
    });
  }

  /** What is in memory ends with the machine anyway. */
  sync(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {
    this.#libc.close(this.#fd);
  }

  #set(lock: Uint8Array): boolean {
    for (;;) {
      if (this.#libc.fcntl(this.#fd, F_OFD_SETLK, lock) === 0) return true;
      const errno = this.#libc.errno();
      if (errno === EAGAIN) return false;
      if (errno !== EINTR) throw failureOf(this.#libc, "lock", this.#path);
    }
  }
}
