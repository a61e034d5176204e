import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Result } from "./messages.ts";

/** In bytes: the path of a file is the name of its lock. */
const LONGEST_NAME = 1_024;

/** The files below a folder, as paths from there, without hidden folders and installed packages. */
export function listFiles(folder: string): string[] {
  const files: string[] = [];
  const visit = (below: string) => {
    for (const entry of readdirSync(join(folder, below), { withFileTypes: true })) {
      const path = join(below, entry.name);
      if (entry.isFile()) files.push(path);
      else if (entry.isDirectory() && !entry.name.startsWith(".") && entry.name !== "node_modules") {
        visit(path);
      }
    }
  };
  visit("");
  return files.filter((path) => Buffer.byteLength(path) <= LONGEST_NAME).sort();
}

/** Reads a file and counts; one that has vanished, or may not be read, counts as empty. */
export async function measure(path: string): Promise<Result> {
  const bytes = await readFile(path).catch(() => new Uint8Array());
  const text = new TextDecoder().decode(bytes);
  return {
    lines: text.split("\n").length - 1,
    words: text.match(/\S+/g)?.length ?? 0,
    sha256: createHash("sha256").update(bytes).digest("hex"),
  };
}
