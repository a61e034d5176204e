import { constants } from "node:os";

/** An address, in the form of the runtime: only passed on. */
export type Pointer = object | number | bigint;

/** Waits for semaphores without holding up the event loop; one wait at a time. */
export interface Waiter {
  /** Whether it was posted within `ms`. */
  wait(semaphore: Pointer, ms: number): Promise<boolean>;
  /** To be called while nothing waits. */
  end(): void;
}

/** The calls, as in C. Failures are -1 or null, and `errno` tells which, if it is asked next. */
export interface Calls {
  open(path: Uint8Array, flags: number, mode: number): number;
  close(fd: number): number;
  pread(fd: number, into: Uint8Array, length: number, position: number): number;
  pwrite(fd: number, bytes: Uint8Array, length: number, position: number): number;
  write(fd: number, bytes: Uint8Array, length: number): number;
  fcntl(fd: number, command: number, lock: Uint8Array): number;
  statx(fd: number, path: Uint8Array, flags: number, mask: number, into: Uint8Array): number;
  getdents64(fd: number, into: Uint8Array, length: number): number;
  mkdir(path: Uint8Array, mode: number): number;
  rmdir(path: Uint8Array): number;
  unlink(path: Uint8Array): number;
  rename(from: Uint8Array, to: Uint8Array): number;
  geteuid(): number;
  clock_gettime(clock: number, into: Uint8Array): number;
  sem_open(name: Uint8Array, flags: number, mode: number, value: number): Pointer | null;
  sem_post(semaphore: Pointer): number;
  sem_trywait(semaphore: Pointer): number;
  sem_close(semaphore: Pointer): number;
  sem_unlink(name: Uint8Array): number;
}

/** The C library of a runtime. */
export interface Libc extends Calls {
  errno(): number;
  waiter(): Waiter;
}

/** What the arguments are. Results are 32 bits wide, which is enough for all that is asked here. */
export type Argument = "i32" | "u32" | "i64" | "size" | "bytes" | "pointer";

/** The arguments of each call. `open`, `fcntl` and `sem_open` are variadic, which makes no difference on Linux. */
export const CALLS: Readonly<Record<keyof Calls, readonly Argument[]>> = {
  open: ["bytes", "i32", "u32"],
  close: ["i32"],
  pread: ["i32", "bytes", "size", "i64"],
  pwrite: ["i32", "bytes", "size", "i64"],
  write: ["i32", "bytes", "size"],
  fcntl: ["i32", "i32", "bytes"],
  statx: ["i32", "bytes", "i32", "u32", "bytes"],
  getdents64: ["i32", "bytes", "size"],
  mkdir: ["bytes", "u32"],
  rmdir: ["bytes"],
  unlink: ["bytes"],
  rename: ["bytes", "bytes"],
  geteuid: [],
  clock_gettime: ["i32", "bytes"],
  sem_open: ["bytes", "i32", "u32", "u32"],
  sem_post: ["pointer"],
  sem_trywait: ["pointer"],
  sem_close: ["pointer"],
  sem_unlink: ["bytes"],
};

/** The one call that waits. */
export const WAIT = "sem_clockwait";
export const WAIT_ARGUMENTS: readonly Argument[] = ["pointer", "i32", "bytes"];

/** What a call answers. */
export function resultOf(name: string): "pointer" | "i32" {
  return name === "sem_open" ? "pointer" : "i32";
}

/** CLOCK_MONOTONIC: the system's time may be set while somebody waits. */
export const MONOTONIC = 1;

/** The moment after `ms`, as a timespec. */
export function deadline(calls: Pick<Calls, "clock_gettime">, ms: number): Uint8Array {
  const time = new BigInt64Array(2);
  const bytes = new Uint8Array(time.buffer);
  calls.clock_gettime(MONOTONIC, bytes);
  const nanoseconds = (time[1] ?? 0n) + BigInt(Math.ceil(ms)) * 1_000_000n;
  time[0] = (time[0] ?? 0n) + nanoseconds / 1_000_000_000n;
  time[1] = nanoseconds % 1_000_000_000n;
  return bytes;
}

const CODES: ReadonlyMap<number, string> = new Map(
  Object.entries(constants.errno).map(([code, errno]) => [errno, code]),
);

/** The error for a call that has just failed, with the system's `code`. */
export function failureOf({ errno }: Libc, call: string, path: string): Error & { code: string } {
  const number = errno();
  const code = CODES.get(number) ?? `errno ${number}`;
  return Object.assign(new Error(`${code}: ${call} ${JSON.stringify(path)}`), { code });
}

const encoder = new TextEncoder();

/** Those that were made last: a lock asks for one path again and again. */
const known = new Map<string, Uint8Array>();
const KNOWN = 256;

/** A path or a name as C has it. */
export function toCString(text: string): Uint8Array {
  const kept = known.get(text);
  if (kept) return kept;
  const made = encoder.encode(`${text}\0`);
  if (known.size >= KNOWN) known.clear();
  known.set(text, made);
  return made;
}
