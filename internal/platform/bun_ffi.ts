import process from "node:process";

/** A C function as `bun:ffi` wants it described. */
export interface BunSymbol {
  readonly args: readonly string[];
  readonly returns: string;
}

type BunFunction = (...args: unknown[]) => number | null;

/** What is used of `bun:ffi`. */
export interface BunFfi {
  dlopen(library: string, symbols: Readonly<Record<string, BunSymbol>>): {
    readonly symbols: Readonly<Record<string, BunFunction>>;
  };
  readonly read: { i32(pointer: number | null, offset: number): number };
}

const IS_MAC = process.platform === "darwin";
const ERRNO = IS_MAC ? "__error" : "__errno_location";

/** The names of the C library: each system has one of its own. */
const NAMES: readonly string[] = IS_MAC
  ? ["libSystem.B.dylib"]
  : ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`];

/** The C library through `bun:ffi`, which is there without an import. */
export function openBunLibrary(
  symbols: Readonly<Record<string, BunSymbol>>,
): { readonly call: Readonly<Record<string, BunFunction>>; errno(): number } {
  // Bun alone knows the module, and its own types are not everywhere.
  const ffi = process.getBuiltinModule("bun:ffi") as unknown as BunFfi;
  const call = openFirst(ffi, { ...symbols, [ERRNO]: { args: [], returns: "ptr" } });
  const address = call[ERRNO];
  return { call, errno: () => ffi.read.i32(address?.() ?? null, 0) };
}

/** The last error tells. */
function openFirst(
  ffi: BunFfi,
  symbols: Readonly<Record<string, BunSymbol>>,
): ReturnType<BunFfi["dlopen"]>["symbols"] {
  let failure: unknown;
  for (const name of NAMES) {
    try {
      return ffi.dlopen(name, symbols).symbols;
    } catch (error) {
      failure = error;
    }
  }
  throw new Error(`Cannot open the C library: found none of ${NAMES.join(", ")}`, { cause: failure });
}
