import { createRequire } from "node:module";
import * as path from "node:path";
import process from "node:process";

/** A function of the C library; `async` calls it in a thread of its own. */
export interface KoffiFunction {
  (...args: unknown[]): unknown;
  async(...args: unknown[]): void;
}

/** What is used of koffi. */
export interface Koffi {
  load(library: null): { func(name: string, returns: string, args: readonly string[]): KoffiFunction };
  errno(): number;
}

/** koffi, which Node's users install beside this library. */
export async function loadKoffi(): Promise<Koffi> {
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
      const state = process.permission?.has("addon") === false
        ? "Node does not permit addons; run it with --allow-addons"
        : "Node cannot call the C library by itself; run npm install koffi";
      throw new Error(`Cannot load koffi: ${state}`, { cause });
    }
  }
}

function toKoffi(module: unknown): Koffi {
  const { default: inner } = module as { default?: Koffi };
  // A CommonJS module is its own exports or stands under `default`, as it was loaded.
  return inner ?? module as Koffi;
}
