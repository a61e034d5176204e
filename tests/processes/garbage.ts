import process from "node:process";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Collects all garbage; returns how many bytes are in use after it. */
export function collectGarbage(): number {
  const { Bun: bun } = globalThis as { Bun?: { gc(force: boolean): void } }; // Only there on Bun.
  if (bun) bun.gc(true);
  else {
    setFlagsFromString("--expose-gc");
    runInNewContext("gc")();
  }
  return process.memoryUsage().heapUsed;
}
