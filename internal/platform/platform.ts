import process from "node:process";
import { type DenoFiles, denoPlatform } from "./deno_files.ts";
import type { Platform } from "./flock.ts";
import { bunFlock, nodeFlock } from "./native_flock.ts";
import { posixPlatform } from "./posix_files.ts";

/**
 * Finds the file locks of this runtime: Deno's own, flock(2) through `bun:ffi` on Bun, and through koffi on Node.
 * Loading costs once; keep the answer.
 * @throws {Error} that says what to install.
 */
export async function loadPlatform(): Promise<Platform> {
  if (process.platform === "win32") {
    throw new Error("Cannot lock files: Windows has no flock; use Linux or macOS");
  }
  const { Deno: deno } = globalThis as { Deno?: DenoFiles };
  if (deno) return denoPlatform(deno);
  return posixPlatform(process.versions["bun"] ? bunFlock() : await nodeFlock());
}
