import type { Koffi } from "./koffi.ts";
import {
  type Argument,
  CALLS,
  type Calls,
  deadline,
  type Libc,
  MONOTONIC,
  resultOf,
  WAIT,
  WAIT_ARGUMENTS,
} from "./libc_calls.ts";

const TYPES: Readonly<Record<Argument, string>> = {
  i32: "int",
  u32: "uint",
  i64: "int64",
  size: "size_t",
  bytes: "void *",
  pointer: "void *",
};

/** The C library through koffi, on Node. A wait takes one of the threads that Node has for files and names. */
export function koffiLibc(koffi: Koffi): Libc {
  const library = koffi.load(null);
  const typesOf = (args: readonly Argument[]) => args.map((arg) => TYPES[arg]);
  const named = Object.entries(CALLS).map(([name, args]) =>
    [name, library.func(name, resultOf(name) === "pointer" ? "void *" : "int", typesOf(args))] as const
  );
  // The table has them all.
  const calls = Object.fromEntries(named) as unknown as Calls;
  const wait = library.func(WAIT, "int", typesOf(WAIT_ARGUMENTS));
  return {
    ...calls,
    errno: () => koffi.errno(),
    waiter: () => ({
      wait(semaphore, ms) {
        const { promise, resolve, reject } = Promise.withResolvers<boolean>();
        const answer = (error: unknown, result: unknown) => error ? reject(error) : resolve(result === 0);
        wait.async(semaphore, MONOTONIC, deadline(calls, ms), answer);
        return promise;
      },
      end() {},
    }),
  };
}
