import { type Access, type Identity, type LockFile, type Platform, writeWhole } from "./flock.ts";

/** What is used of `Deno.FsFile`. */
interface DenoFile {
  readSync(into: Uint8Array): number | null;
  writeSync(bytes: Uint8Array): number;
  seekSync(offset: number, whence: 0): number;
  statSync(): DenoInfo;
  tryLockSync(exclusive: boolean): boolean;
  unlockSync(): void;
  syncData(): Promise<void>;
  close(): void;
}

interface DenoInfo {
  readonly dev: number;
  readonly ino: number | null;
}

/** What is used of the namespace; written out, since it has no types where others check this source. */
export interface DenoFiles {
  openSync(path: string, options: { read: true; write: boolean; create: boolean }): DenoFile;
  statSync(path: string): DenoInfo;
  readonly errors: { readonly NotFound: new (message: string) => Error };
}

/** Files by Deno's own means: its file locks are flock(2). */
export function denoPlatform(deno: DenoFiles): Platform {
  return {
    open: (path, access) => open(deno, path, access),
    identify(path) {
      try {
        return toIdentity(deno.statSync(path));
      } catch (error) {
        if (error instanceof deno.errors.NotFound) return undefined;
        throw error;
      }
    },
  };
}

function open(deno: DenoFiles, path: string, access: Access): LockFile {
  const file = deno.openSync(path, { read: true, write: access !== "read", create: access === "create" });
  let identity: Identity | undefined;
  return {
    identity: () => identity ??= toIdentity(file.statSync()),
    tryLock: (exclusive) => file.tryLockSync(exclusive),
    unlock: () => file.unlockSync(),
    read(into, position) {
      file.seekSync(position, 0);
      return file.readSync(into) ?? 0;
    },
    write(bytes, position) {
      file.seekSync(position, 0);
      writeWhole(bytes, (rest) => file.writeSync(rest));
    },
    sync: () => file.syncData(),
    close: () => file.close(),
  };
}

function toIdentity({ dev, ino }: DenoInfo): Identity {
  return { dev, ino: ino ?? 0 };
}
