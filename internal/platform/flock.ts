/** Tells one file from another that may take its place under the same path. */
export interface Identity {
  readonly dev: number | bigint;
  readonly ino: number | bigint;
}

/**
 * An open file that can carry a flock(2) lock. The lock belongs to this descriptor, not to the process: two of one
 * process exclude each other. Children never inherit it (`O_CLOEXEC`), and the kernel drops it when the process ends.
 */
export interface LockFile {
  /** Read once, at the first call. */
  identity(): Identity;
  /** Takes the lock, or changes the mode of the one held, unless that would have to wait. */
  tryLock(exclusive: boolean): boolean;
  unlock(): void;
  /** Reads from `position`; answers how many bytes there were. */
  read(into: Uint8Array, position: number): number;
  /** Writes all of `bytes`. */
  write(bytes: Uint8Array, position: number): void;
  /** Resolves when the contents are on the disk. */
  sync(): Promise<void>;
  /** Drops the lock too. */
  close(): void;
}

/** How to open: `create` reads and writes, and makes the file if it is missing. */
export type Access = "read" | "write" | "create";

/** Files and their locks, by the means of the runtime. */
export interface Platform {
  open(path: string, access: Access): LockFile;
  /** Undefined: there is no such file. */
  identify(path: string): Identity | undefined;
}

/** Whether two identities are of one file. */
export function isSame(a: Identity, b: Identity | undefined): boolean {
  return b !== undefined && a.ino === b.ino && a.dev === b.dev;
}

/** Writes `bytes` whole by `some`, which may write a part. */
export function writeWhole(bytes: Uint8Array, some: (rest: Uint8Array, done: number) => number): void {
  for (let done = 0; done < bytes.length;) done += some(bytes.subarray(done), done);
}
