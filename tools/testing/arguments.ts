import { readFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs, type ParseArgsOptionsConfig } from "node:util";

type Parsed<T extends ParseArgsOptionsConfig> = ReturnType<
  typeof parseArgs<{ allowPositionals: true; options: T }>
>;

/** What a task says of itself at the head of its file. */
function usageOf(url: string): string {
  const [, head = ""] = /^\/\*\*(.*?)\*\//s.exec(readFileSync(fileURLToPath(url), "utf8")) ?? [];
  return head.replaceAll(/^ *\* ?/gm, "").trim();
}

/**
 * The arguments of the task whose module this is. `--help` prints the head of the module and ends; so does what the
 * task does not know, with an exit code of 2.
 */
export function readArguments<T extends ParseArgsOptionsConfig>(url: string, options: T): Parsed<T> {
  if (process.argv.slice(2).some((word) => word === "--help" || word === "-h")) {
    console.log(usageOf(url));
    process.exit(0);
  }
  try {
    return parseArgs({ allowPositionals: true, options });
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${usageOf(url)}`);
    process.exit(2);
  }
}
