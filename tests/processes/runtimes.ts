import { existsSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

export type Runtime = "deno" | "bun" | "node";

export const RUNTIMES: readonly Runtime[] = ["deno", "bun", "node"];

/** The runtime that this code runs on. */
export const currentRuntime: Runtime = "Deno" in globalThis ? "deno" : "Bun" in globalThis ? "bun" : "node";

/**
 * The runtimes are packages of this project. Node's platform packages are named one by one as optional dependencies,
 * because the package that picks among them does so by a nested npm run that no lock covers.
 */
const INSTALLED = fileURLToPath(new URL("../../node_modules/.bin", import.meta.url));

/** The program of a runtime, for those who have arguments of their own for it. */
export function runtimeProgram(runtime: Runtime): string {
  // The running one before all: a test run on another version must stay on it in its child processes.
  if (runtime === currentRuntime) return process.execPath;
  const installed = `${INSTALLED}/${runtime}`;
  return existsSync(installed) ? installed : runtime;
}

const FLAGS: Record<Runtime, readonly string[]> = {
  deno: ["run", "-A", "--no-check", "--quiet"],
  bun: ["run"],
  node: [],
};

/** The program and its arguments that run a TypeScript file on a runtime. */
export function commandFor(runtime: Runtime, script: URL, args: readonly string[] = []): readonly string[] {
  return [runtimeProgram(runtime), ...FLAGS[runtime], fileURLToPath(script), ...args];
}
