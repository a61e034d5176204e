/**
 * Worker processes share out the files of a folder, while some of them are killed and one is stopped in the middle of
 * a write; at the end, every file must have been written once:
 *
 *     deno task demo [FOLDER] [--workers 4] [--backend URL] [--seconds 10] [--break-fencing]
 *
 * Read worker.ts first: it is the part that your own program would have. store.ts shows what fencing tokens are for.
 */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { runDemo } from "./demo.ts";
import { listFiles } from "./files.ts";
import { judge } from "./verdict.ts";
import { createView } from "./view.ts";

const USAGE = "Usage: deno task demo [FOLDER] [--workers 4] [--backend URL] [--seconds 10] [--break-fencing]";

/** The folder that this program is a part of. */
const REPOSITORY = fileURLToPath(new URL("../..", import.meta.url));

type Arguments = ReturnType<typeof readArguments>;

function readArguments(args: string[]) {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      workers: { type: "string", default: "4" },
      backend: { type: "string" },
      seconds: { type: "string", default: "10" },
      "break-fencing": { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (positionals.length > 1) throw new TypeError(`Cannot use ${positionals.length} folders: want one`);
  return {
    folder: resolve(positionals[0] ?? REPOSITORY),
    workers: readNumber("workers", values.workers, { least: 2, most: 64 }),
    seconds: readNumber("seconds", values.seconds, { least: 1, most: 3600 }),
    backend: values.backend,
    fencing: !values["break-fencing"],
    help: values.help,
  };
}

function readNumber(name: string, text: string, { least, most }: { least: number; most: number }): number {
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (value >= least && value <= most) return value;
  throw new RangeError(`Cannot use --${name} "${text}": want a whole number from ${least} to ${most}`);
}

function filesOf(folder: string): string[] {
  const isFolder = statSync(folder, { throwIfNoEntry: false })?.isDirectory();
  if (isFolder === undefined) throw new TypeError(`Cannot read folder "${folder}": there is none`);
  if (!isFolder) throw new TypeError(`Cannot read folder "${folder}": it is a file`);
  const files = listFiles(folder);
  if (files.length === 0) throw new TypeError(`Cannot use folder "${folder}": it has no files`);
  return files;
}

async function main({ folder, backend, ...options }: Arguments): Promise<boolean> {
  const files = filesOf(folder);
  const scratch = mkdtempSync(join(tmpdir(), "coord-demo-"));
  process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));
  const locks = backend ?? `file://${scratch}/locks`;
  const outcome = await runDemo(
    { ...options, folder, files, backend: locks, journal: `${scratch}/journal` },
    createView(),
  );
  const { isGood, text } = judge(outcome);
  console.log(text);
  return isGood;
}

/** Runs `step`; where it fails, says why, and ends. */
async function orExit<T>(step: () => T | Promise<T>, ...advice: readonly string[]): Promise<T> {
  try {
    return await step();
  } catch (error) {
    for (const line of [error instanceof Error ? error.message : error, ...advice]) console.error(line);
    return process.exit(1);
  }
}

// Leaving runs what is registered for the exit: workers are killed, and the scratch folder goes.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1));
const options = await orExit(() => readArguments(process.argv.slice(2)), USAGE);
if (options.help) console.log(USAGE);
else process.exitCode = await orExit(() => main(options)) ? 0 : 1;
process.exit();
