/**
 * Fails when deno.json, jsr.json and package.json disagree on what is published, or when what the sources import is not
 * what package.json names in `dependencies`: publishing rewrites only those, and breaks others in silence.
 */
import { readdirSync, readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import process from "node:process";
import { fileURLToPath } from "node:url";

interface Manifest {
  name: string;
  version: string;
  license: string;
  exports: Record<string, string>;
  publish?: { include: string[] };
  dependencies?: Record<string, string>;
}

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const SOURCES = ["mod.ts", "driver.ts", "characteristics.ts", "core", "drivers", "internal", "cli"];
/** Formatted code has imports at the start of a line; texts that speak of imports do not. */
const IMPORT = /^(?:import|export)\s(?:[^"';()]*?from\s*)?"([^"]+)"|\bimport\(\s*"([^"$]+)"/gm;

function read(file: string): Manifest {
  return JSON.parse(readFileSync(ROOT + file, "utf8"));
}

/** Every published TypeScript file, found whether or not the folder exists yet. */
function* sourceFiles(): Generator<string> {
  const present = new Set(readdirSync(ROOT));
  for (const source of SOURCES.filter((name) => present.has(name))) {
    if (source.endsWith(".ts")) yield source;
    else {
      for (const file of readdirSync(ROOT + source, { recursive: true, encoding: "utf8" })) {
        if (file.endsWith(".ts") && !file.endsWith("_test.ts")) yield `${source}/${file}`;
      }
    }
  }
}

/** The module specifiers of a source, comments left out so that examples in them do not count. */
function specifiers(text: string): string[] {
  const code = text.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
  return [...code.matchAll(IMPORT)].map((match) => match[1] ?? match[2] ?? "");
}

function packageName(specifier: string): string {
  return specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
}

function compare(problems: string[]): void {
  const deno = read("deno.json");
  for (const file of ["jsr.json", "package.json"]) {
    const other = read(file);
    const fields = ["name", "version", "license", "exports"] as const;
    for (const field of file === "jsr.json" ? [...fields, "publish"] as const : fields) {
      const [ours, theirs] = [JSON.stringify(deno[field]), JSON.stringify(other[field])];
      if (ours !== theirs) problems.push(`"${field}" is ${ours} in deno.json, but ${theirs} in ${file}`);
    }
  }
}

function checkImports(problems: string[]): void {
  const allowed = new Set(Object.keys(read("package.json").dependencies ?? {}));
  const unused = new Set(allowed);
  for (const file of sourceFiles()) {
    for (const specifier of specifiers(readFileSync(ROOT + file, "utf8"))) {
      unused.delete(packageName(specifier));
      if (/^(\.{0,2}\/|node:|bun:)/.test(specifier)) continue;
      if (/^(npm|jsr|https?):/.test(specifier)) {
        problems.push(`${file} imports "${specifier}": a name from package.json runs on every runtime`);
      } else if (builtinModules.includes(specifier)) {
        problems.push(`${file} imports "${specifier}": write "node:${specifier}"`);
      } else if (!allowed.has(packageName(specifier))) {
        problems.push(`${file} imports "${specifier}", which is not in package.json's dependencies`);
      }
    }
  }
  for (const name of unused) problems.push(`package.json depends on "${name}", which no source imports`);
}

const problems: string[] = [];
compare(problems);
checkImports(problems);
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exitCode = 1;
else console.log("Manifests agree");
