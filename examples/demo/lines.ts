import { writeSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

/** Calls `hear` with each line of a stream; a stream that breaks off, as a killed process's do, just ends. */
export function eachLine(input: Readable, hear: (line: string) => void): void {
  const lines = createInterface({ input });
  // Node passes a stream's errors on to its reader.
  for (const emitter of [input, lines]) emitter.on("error", () => {});
  lines.on("line", hear);
}

/** The lines of this process's input. */
export function inputLines(): AsyncIterableIterator<string> {
  return createInterface({ input: process.stdin })[Symbol.asyncIterator]();
}

/** The first line, which holds the settings. */
export async function readSettings<T>(lines: AsyncIterator<string>): Promise<T> {
  const first = await lines.next();
  if (first.done) process.exit(1);
  return JSON.parse(first.value) as T; // Our own parent wrote it.
}

/** Says something on this process's output. At once: a process that stops or dies next has said it. */
export function tell(event: unknown): void {
  writeSync(1, `${JSON.stringify(event)}\n`);
}

/** Ends the process when its parent has closed its input, or has died: no orphan is left behind. */
export async function endWithInput(
  lines: AsyncIterable<string>,
  hear: (line: string) => void,
): Promise<never> {
  for await (const line of lines) hear(line);
  process.exit(0);
}
