import process from "node:process";
import { openBunLibrary } from "./bun_ffi.ts";
import { loadKoffi } from "./koffi.ts";
import type { Flock } from "./posix_files.ts";

const EINTR = 4;
const EWOULDBLOCK = process.platform === "darwin" ? 35 : 11;

/** flock(2) through `bun:ffi`. */
export function bunFlock(): Flock {
  const { call, errno } = openBunLibrary({ flock: { args: ["i32", "i32"], returns: "i32" } });
  const flock = call["flock"];
  if (!flock) throw new Error("Cannot lock files: the C library has no flock");
  return (fd, operation) => judge(() => flock(fd, operation), errno);
}

/** flock(2) through koffi. */
export async function nodeFlock(): Promise<Flock> {
  const koffi = await loadKoffi();
  const flock = koffi.load(null).func("flock", "int", ["int", "int"]);
  return (fd, operation) => judge(() => flock(fd, operation), () => koffi.errno());
}

function judge(call: () => unknown, errno: () => number): boolean {
  for (;;) {
    if (call() === 0) return true;
    const code = errno();
    if (code === EWOULDBLOCK) return false;
    if (code !== EINTR) throw Object.assign(new Error(`flock failed with errno ${code}`), { errno: code });
  }
}
