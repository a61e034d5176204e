import { createRequire } from "node:module";
import * as path from "node:path";
import process from "node:process";
import type { Flock } from "./posix_files.ts";

/** What is used of `bun:ffi`. */
interface BunFfi {
  dlopen(library: string, symbols: Readonly<Record<string, { args: string[]; returns: string }>>): {
    readonly symbols: Readonly<Record<string, (...args: number[]) => number>>;
  };
  readonly read: { i32(pointer: number, offset: number): number };
}

/** What is used of koffi. */
interface Koffi {
  load(library: null): { func(name: string, returns: string, args: string[]): (...args: number[]) => number };
  errno(): number;
}

const EINTR = 4;
const IS_MAC = process.platform === "darwin";
const EWOULDBLOCK = IS_MAC ? 35 : 11;

/** flock(2) through `bun:ffi`, which is there without an import. */
export function bunFlock(): Flock {
  // Bun alone knows the module, and its own types are not everywhere.
  const ffi = process.getBuiltinModule("bun:ffi") as unknown as BunFfi;
  const errnoAddress = IS_MAC ? "__error" : "__errno_location";
  const { symbols } = openLibrary(ffi, {
    flock: { args: ["i32", "i32"], returns: "i32" },
    [errnoAddress]: { args: [], returns: "ptr" },
  });
  const call = symbols["flock"];
  const address = symbols[errnoAddress];
  if (!call || !address) throw new Error("Cannot lock files: the C library has no flock");
  return (fd, operation) => judge(() => call(fd, operation), () => ffi.read.i32(address(), 0));
}

/** The C library has a name of its own on each system; the last error tells. */
function openLibrary(ffi: BunFfi, symbols: Parameters<BunFfi["dlopen"]>[1]): ReturnType<BunFfi["dlopen"]> {
  const musl = `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`;
  const names = IS_MAC ? ["libSystem.B.dylib"] : ["libc.so.6", musl];
  let failure: unknown;
  for (const name of names) {
    try {
      return ffi.dlopen(name, symbols);
    } catch (error) {
      failure = error;
    }
  }
  throw new Error(`Cannot lock files: found none of ${names.join(", ")}`, { cause: failure });
}

/** flock(2) through koffi, which Node's users install beside this library. */
export async function nodeFlock(): Promise<Flock> {
  const koffi = await loadKoffi();
  const call = koffi.load(null).func("flock", "int", ["int", "int"]);
  return (fd, operation) => judge(() => call(fd, operation), () => koffi.errno());
}

async function loadKoffi(): Promise<Koffi> {
  // Computed, so that no bundler, registry or runtime takes it for a dependency of everyone.
  const name = ["kof", "fi"].join("");
  try {
    return toKoffi(await import(name));
  } catch (cause) {
    try {
      // In a strict layout of node_modules only the program itself can see what its author installed.
      const main = path.resolve(process.argv[1] ?? "main.js");
      return toKoffi(createRequire(main)(name));
    } catch {
      const advice = "Node has no file locks of its own: run npm install koffi";
      throw new Error(`Cannot lock files: ${advice}`, { cause });
    }
  }
}

function toKoffi(module: unknown): Koffi {
  const { default: inner } = module as { default?: Koffi };
  // A CommonJS module is its own exports or stands under `default`, as it was loaded.
  return inner ?? module as Koffi;
}

function judge(call: () => number, errno: () => number): boolean {
  for (;;) {
    if (call() === 0) return true;
    const code = errno();
    if (code === EWOULDBLOCK) return false;
    if (code !== EINTR) throw Object.assign(new Error(`flock failed with errno ${code}`), { errno: code });
  }
}
