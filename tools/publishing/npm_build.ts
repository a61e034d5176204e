import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { dirname } from "node:path";
import type { Upload } from "./registry.ts";

const RELATIVE = /((?:from|import)\s*\(?\s*"\.{1,2}\/[^"]+)\.ts"/g;
const PACKAGE = /"npm:((?:@[^/"]+\/)?[^@/"]+)@([^/"]+)([^"]*)"/g;

/** TypeScript as published to JavaScript as npm users get it: no types, `.js` names, plain package names. */
function translate(source: string, dependencies: Map<string, string>): string {
  return stripTypeScriptTypes(source)
    .replaceAll(RELATIVE, '$1.js"')
    .replaceAll(PACKAGE, (_whole, name: string, range: string, path: string) => {
      dependencies.set(name, range);
      return `"${name}${path}"`;
    });
}

function toJavaScript(path: string): string {
  return path.replace(/\.ts$/, ".js");
}

/**
 * Puts the upload where a package manager would, in `project`/node_modules, translated as JSR does it for npm; what it
 * depends on is linked from `modules`. Returns the names and ranges of these packages.
 */
export function installForNpm(upload: Upload, project: string, modules: string): ReadonlyMap<string, string> {
  const target = `${project}/node_modules/${upload.name}`;
  const dependencies = new Map<string, string>();
  for (const file of upload.files) {
    mkdirSync(dirname(`${target}/${file}`), { recursive: true });
    if (!file.endsWith(".ts")) cpSync(`${upload.dir}/${file}`, `${target}/${file}`);
    else {
      const code = translate(readFileSync(`${upload.dir}/${file}`, "utf8"), dependencies);
      writeFileSync(`${target}/${toJavaScript(file)}`, code);
    }
  }
  const manifest: { exports: Record<string, string> } = JSON.parse(
    readFileSync(`${upload.dir}/deno.json`, "utf8"),
  );
  const exports = Object.fromEntries(
    Object.entries(manifest.exports).map(([entry, file]) => [entry, toJavaScript(file)]),
  );
  const { name, version } = upload;
  const found = { name, version, type: "module", exports, dependencies: Object.fromEntries(dependencies) };
  writeFileSync(`${target}/package.json`, JSON.stringify(found, null, 2));
  for (const dependency of dependencies.keys()) {
    mkdirSync(dirname(`${project}/node_modules/${dependency}`), { recursive: true });
    symlinkSync(`${modules}/${dependency}`, `${project}/node_modules/${dependency}`);
  }
  return dependencies;
}
