import { Worker } from "node:worker_threads";
import { openBunLibrary } from "./bun_ffi.ts";
import {
  type Argument,
  CALLS,
  type Calls,
  type Libc,
  MONOTONIC,
  type Pointer,
  resultOf,
  WAIT,
  WAIT_ARGUMENTS,
  type Waiter,
} from "./libc_calls.ts";

const TYPES: Readonly<Record<Argument, string>> = {
  i32: "i32",
  u32: "u32",
  i64: "i64",
  size: "usize",
  bytes: "ptr",
  pointer: "ptr",
};

const typesOf = (args: readonly Argument[]) => args.map((arg) => TYPES[arg]);

/** The C library through `bun:ffi`. */
export function bunLibc(): Libc {
  const symbols = Object.entries(CALLS).map(([name, args]) =>
    [name, { args: typesOf(args), returns: resultOf(name) === "pointer" ? "ptr" : "i32" }] as const
  );
  const { call, errno } = openBunLibrary(Object.fromEntries(symbols));
  // The table has them all.
  return { ...call as unknown as Calls, errno, waiter: () => new WorkerWaiter() };
}

/** As text, so that published and bundled copies need no file beside them. */
const PROGRAM = `
const { parentPort } = require("node:worker_threads");
const { symbols } = process.getBuiltinModule("bun:ffi").dlopen("libc.so.6", {
  ${WAIT}: { args: ${JSON.stringify(typesOf(WAIT_ARGUMENTS))}, returns: "i32" },
  clock_gettime: { args: ["i32", "ptr"], returns: "i32" },
});
const time = new BigInt64Array(2);
parentPort.on("message", ({ semaphore, ms }) => {
  symbols.clock_gettime(${MONOTONIC}, time);
  const nanoseconds = time[1] + BigInt(Math.ceil(ms)) * 1000000n;
  time[0] += nanoseconds / 1000000000n;
  time[1] = nanoseconds % 1000000000n;
  parentPort.postMessage(symbols.${WAIT}(semaphore, ${MONOTONIC}, time));
});
`;

/** Bun's FFI has no calls off the event loop: a worker makes them. An address is the same in all threads. */
class WorkerWaiter implements Waiter {
  readonly #worker = new Worker(PROGRAM, { eval: true });
  #pending: PromiseWithResolvers<boolean> | undefined;
  #failure: unknown;

  constructor() {
    this.#worker.on("message", (result: number) => this.#pending?.resolve(result === 0));
    this.#worker.on("error", (error: unknown) => {
      this.#failure = error;
      this.#pending?.reject(error);
    });
  }

  wait(semaphore: Pointer, ms: number): Promise<boolean> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    this.#pending = Promise.withResolvers();
    this.#worker.postMessage({ semaphore, ms });
    return this.#pending.promise;
  }

  end(): void {
    void this.#worker.terminate();
  }
}
