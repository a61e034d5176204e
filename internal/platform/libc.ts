import process from "node:process";
import { bunLibc } from "./bun_libc.ts";
import { type DenoFfi, denoLibc } from "./deno_libc.ts";
import { koffiLibc } from "./koffi_libc.ts";
import { loadKoffi } from "./koffi.ts";
import type { Libc } from "./libc_calls.ts";

/** Where a program runs. */
export interface System {
  readonly platform: string;
  readonly arch: string;
}

let loading: Promise<Libc> | undefined;

/**
 * The C library of Linux: by Deno's own FFI, `bun:ffi`, or koffi on Node. Loaded once a process.
 * @throws {Error} that says what to install, or what is not supported.
 */
export async function loadLibc(system: System = process): Promise<Libc> {
  requireLinux(system);
  try {
    return await (loading ??= load());
  } catch (error) {
    // A permission may be granted yet, or a package be installed.
    loading = undefined;
    throw error;
  }
}

/** The numbers and layouts of the calls are those of Linux on 64 bits; Apple passes variadic arguments differently. */
function requireLinux({ platform, arch }: System): void {
  if (platform === "linux" && (arch === "x64" || arch === "arm64")) return;
  throw new Error(
    `Cannot use the C library: ${platform} on ${arch} is not supported; it works on Linux, x64 and arm64`,
  );
}

async function load(): Promise<Libc> {
  const { Deno: deno } = globalThis as { Deno?: DenoFfi };
  if (deno) return denoLibc(deno);
  return process.versions["bun"] ? bunLibc() : koffiLibc(await loadKoffi());
}
