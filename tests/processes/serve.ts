import process from "node:process";
import { decode, describeError, encode, lines, type Message } from "./wire.ts";

/** What a worker offers to the test that started it. */
export interface Service {
  /** By name. `never` lets each method say what it expects; the test keeps to it. */
  readonly methods: Readonly<Record<string, (...args: never[]) => unknown>>;
  /** Runs when the test has closed the worker's input, before the worker ends. */
  readonly close?: () => unknown;
}

function send(message: Message): void {
  process.stdout.write(encode(message));
}

/** Tells the test something that it did not ask for. */
export function emit(value: unknown): void {
  send({ kind: "event", value });
}

async function answer(service: Service, call: Message & { kind: "call" }): Promise<void> {
  const { id, method, args } = call;
  try {
    const run = service.methods[method];
    if (!run) throw new TypeError(`Cannot call "${method}": the worker has no such method`);
    // The arguments come off the wire: that they fit is between the test and its worker.
    send({ kind: "result", id, value: await run(...args as never[]) });
  } catch (error) {
    send({ kind: "failure", id, error: describeError(error) });
  }
}

/**
 * Answers calls, several at once if need be, until standard input closes; then ends the process. A worker whose test
 * was killed has its input closed by the kernel, so none is left over.
 */
export async function serve(service: Service): Promise<never> {
  send({ kind: "ready" });
  for await (const line of lines(process.stdin)) {
    const message = decode(line);
    if (message.kind === "call") void answer(service, message);
  }
  await service.close?.();
  process.exit(0);
}
