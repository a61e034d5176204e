/**
 * Installs the locked packages when they are missing or older than the lock file:
 *
 *     deno task setup
 *
 * Every task runs this first, so a fresh clone needs nothing but npm; it uses only what the runtime has built in,
 * because nothing is installed yet.
 *
 * The tasks say `env deno`, not `deno`: once the pinned Deno is installed as a package, `deno task` takes the plain
 * word for that package's program and tries to read the binary as JavaScript.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { readArguments } from "./testing/arguments.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const MODULES = `${ROOT}node_modules`;
const STAGE = `${ROOT}.tmp/install`;
const STAMP = ".installed-from";
const MANIFESTS = ["package.json", "package-lock.json", ".npmrc"];

/** What an installation depends on: the lock, the package choices, and the platform that the binaries are for. */
function fingerprint(): string {
  const hash = createHash("sha256");
  for (const file of MANIFESTS) hash.update(readFileSync(ROOT + file));
  return hash.update(`${process.platform}-${process.arch}`).digest("hex");
}

function isInstalled(): boolean {
  const stamp = `${MODULES}/${STAMP}`;
  return existsSync(stamp) && readFileSync(stamp, "utf8") === fingerprint();
}

function runNpm(): void {
  const npm = spawnSync("npm", ["ci", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: STAGE,
    // Standard output belongs to the task; what npm has to say goes where progress goes.
    stdio: ["ignore", 2, 2],
  });
  if (npm.error) throw new Error("Cannot install packages: npm does not start", { cause: npm.error });
  if (npm.status !== 0) throw new Error(`Cannot install packages: npm ci exited with ${npm.status}`);
}

/** In a directory of its own, then moved: npx takes a half-installed node_modules for the real one and fails. */
function install(): void {
  console.error("Installing packages (npm ci)");
  rmSync(STAGE, { recursive: true, force: true });
  mkdirSync(STAGE, { recursive: true });
  for (const file of MANIFESTS) copyFileSync(ROOT + file, `${STAGE}/${file}`);
  runNpm();
  writeFileSync(`${STAGE}/node_modules/${STAMP}`, fingerprint());
  const old = `${STAGE}/replaced`;
  if (existsSync(MODULES)) renameSync(MODULES, old);
  renameSync(`${STAGE}/node_modules`, MODULES);
  rmSync(STAGE, { recursive: true, force: true });
}

readArguments(import.meta.url, {});
if (!isInstalled()) {
  mkdirSync(`${ROOT}.tmp`, { recursive: true });
  // The kernel frees this lock when its holder dies, so a killed installation blocks nobody.
  using lock = await Deno.open(`${ROOT}.tmp/setup.lock`, { create: true, write: true });
  await lock.lock(true);
  if (!isInstalled()) install();
}
