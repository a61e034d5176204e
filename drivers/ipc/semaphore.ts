import * as fs from "node:fs";
import { failureOf, type Libc, type Pointer, toCString } from "../../internal/platform/libc_calls.ts";
import { PREFIX, SHM } from "./tools.ts";

const { O_CREAT, O_EXCL } = fs.constants;

/** The file that the C library keeps of a semaphore. */
export function pathOf(id: string): string {
  return `${SHM}/sem.${PREFIX}${id}`;
}

/** The id of a semaphore of this driver by its file's name. */
export function idOf(file: string): string | undefined {
  return file.startsWith(`sem.${PREFIX}`) ? file.slice(`sem.${PREFIX}`.length) : undefined;
}

function nameOf(id: string): Uint8Array {
  return toCString(`/${PREFIX}${id}`);
}

/** Makes a new semaphore, for this user alone. */
export function createSemaphore(libc: Libc, id: string): Pointer {
  const semaphore = libc.sem_open(nameOf(id), O_CREAT | O_EXCL, 0o600, 0);
  if (semaphore === null) throw failureOf(libc, "sem_open", pathOf(id));
  return semaphore;
}

export function removeSemaphore(libc: Libc, id: string): void {
  libc.sem_unlink(nameOf(id));
}

/** Wakes who waits for it, if there is such a semaphore. */
export function postTo(libc: Libc, id: string): void {
  const semaphore = libc.sem_open(nameOf(id), 0, 0, 0);
  if (semaphore === null) return;
  libc.sem_post(semaphore);
  libc.sem_close(semaphore);
}
