import {
  type Argument,
  CALLS,
  type Calls,
  deadline,
  type Libc,
  MONOTONIC,
  type Pointer,
  resultOf,
  WAIT,
  WAIT_ARGUMENTS,
} from "./libc_calls.ts";

interface DenoSymbol {
  readonly name?: string;
  readonly parameters: readonly string[];
  readonly result: string;
  readonly nonblocking?: boolean;
}

/** What is used of the namespace; written out, since it has no types where others check this source. */
export interface DenoFfi {
  dlopen(library: string, symbols: Readonly<Record<string, DenoSymbol>>): { readonly symbols: unknown };
  readonly UnsafePointerView: new (pointer: object) => { getInt32(): number };
}

const TYPES: Readonly<Record<Argument, string>> = {
  i32: "i32",
  u32: "u32",
  i64: "i64",
  size: "usize",
  bytes: "buffer",
  pointer: "pointer",
};

/** The symbols beside those of the table. */
interface Others {
  __errno_location(): object;
  /** In a thread of Deno's. */
  wait(semaphore: Pointer, clock: number, until: Uint8Array): Promise<number>;
}

/** The C library by Deno's own FFI. */
export function denoLibc(deno: DenoFfi): Libc {
  const symbols: Record<string, DenoSymbol> = {
    __errno_location: { parameters: [], result: "pointer" },
    wait: { name: WAIT, parameters: typesOf(WAIT_ARGUMENTS), result: "i32", nonblocking: true },
  };
  for (const [name, args] of Object.entries(CALLS)) {
    symbols[name] = { parameters: typesOf(args), result: resultOf(name) };
  }
  // They are what was asked for.
  const calls = deno.dlopen("libc.so.6", symbols).symbols as Calls & Others;
  return {
    ...calls,
    errno: () => new deno.UnsafePointerView(calls.__errno_location()).getInt32(),
    waiter: () => ({
      wait: async (semaphore, ms) => await calls.wait(semaphore, MONOTONIC, deadline(calls, ms)) === 0,
      end() {},
    }),
  };
}

function typesOf(args: readonly Argument[]): string[] {
  return args.map((arg) => TYPES[arg]);
}
