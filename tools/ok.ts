/**
 * Checks all that can be checked without running the tests; each step's own output says what is wrong:
 *
 *     deno task ok
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import process from "node:process";
import { readArguments } from "./testing/arguments.ts";

readArguments(import.meta.url, {});
process.chdir(new URL("..", import.meta.url).pathname);
const manifest: { exports: Record<string, string> } = JSON.parse(readFileSync("deno.json", "utf8"));
const entries = Object.values(manifest.exports);

const STEPS: Record<string, readonly string[]> = {
  format: ["fmt", "--check", "--quiet"],
  lint: ["lint", "--quiet"],
  types: ["check", "--quiet", "."],
  "documentation of exports": ["doc", "--lint", ...entries],
  "examples in documentation": ["test", "-A", "--doc", "--quiet", "mod.ts", "core/", "drivers/"],
  manifests: ["run", "-A", "tools/check_manifests.ts"],
  publishing: ["publish", "--dry-run", "--allow-dirty", "--quiet"],
  "what is published": ["run", "-A", "tools/check_published.ts"],
};

const failed: string[] = [];
for (const [step, args] of Object.entries(STEPS)) {
  const start = performance.now();
  const result = spawnSync(process.execPath, args, {
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1" },
  });
  const isOk = result.status === 0;
  console.log(`${isOk ? "ok    " : "FAILED"} ${step} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
  if (isOk) continue;
  failed.push(step);
  console.log(result.stdout + result.stderr);
}
if (failed.length > 0) {
  console.log(`Not ok: ${failed.join(", ")}`);
  process.exitCode = 1;
}
