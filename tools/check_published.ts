/**
 * Publishes to a local registry, then runs a program on what was uploaded, in fresh projects of Deno, Bun and Node: a
 * dry run checks types, but not what publishing makes of the imports.
 *
 *     deno task published [PROGRAM]      default: tests/published/main.ts
 */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { type Runtime, runtimeProgram, RUNTIMES } from "../tests/processes/runtimes.ts";
import { startRedis } from "../tests/servers/redis.ts";
import { installForNpm } from "./publishing/npm_build.ts";
import { LocalRegistry, type Upload } from "./publishing/registry.ts";
import { readArguments } from "./testing/arguments.ts";
import { fetchServers } from "./testing/fetch.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

interface Outcome {
  readonly ok: boolean;
  readonly output: string;
}

async function run(
  command: readonly string[],
  cwd: string,
  env: Record<string, string> = {},
): Promise<Outcome> {
  const [file = "", ...args] = command;
  const { success, stdout, stderr } = await new Deno.Command(file, { args, cwd, env }).output();
  const decoder = new TextDecoder();
  return { ok: success, output: decoder.decode(stdout) + decoder.decode(stderr) };
}

async function publish(registry: LocalRegistry): Promise<Upload> {
  // Any token will do, but without one Deno would open a browser.
  const command = [process.execPath, "publish", "--allow-dirty", "--quiet", "--token", "local"];
  const { ok, output } = await run(command, ROOT, { JSR_URL: registry.url });
  if (!ok) throw new Error(`Cannot publish:\n${output}`);
  return registry.upload;
}

/** A project that a user could have: the program, and a manifest that asks for the package. */
function makeProject(dir: string, program: string, runtime: Runtime, upload: Upload): void {
  mkdirSync(dir);
  copyFileSync(program, `${dir}/main.ts`);
  if (runtime === "deno") {
    const manifest = { imports: { [upload.name]: `jsr:${upload.name}@${upload.version}` } };
    writeFileSync(`${dir}/deno.json`, JSON.stringify(manifest));
  } else {
    writeFileSync(`${dir}/package.json`, JSON.stringify({ type: "module", private: true }));
    installForNpm(upload, dir, `${ROOT}node_modules`);
    // What the file driver asks a user of Node to install.
    if (runtime === "node") symlinkSync(`${ROOT}node_modules/koffi`, `${dir}/node_modules/koffi`);
  }
}

function start(runtime: Runtime, dir: string, registry: LocalRegistry, server: string): Promise<Outcome> {
  const words: Record<Runtime, string[]> = {
    deno: ["run", "-A", "--check", "--quiet"],
    bun: ["run"],
    node: [],
  };
  const env = { JSR_URL: registry.url, DENO_DIR: `${dir}/.cache` };
  return run(
    [runtimeProgram(runtime), ...words[runtime], "main.ts", server],
    dir,
    runtime === "deno" ? env : {},
  );
}

const { positionals } = readArguments(import.meta.url, {});
process.chdir(ROOT);
fetchServers("gate");
const program = resolve(positionals[0] ?? `${ROOT}tests/published/main.ts`);
const work = mkdtempSync(join(tmpdir(), "coord-published-"));
try {
  await using registry = new LocalRegistry(work);
  await using server = await startRedis();
  const upload = await publish(registry);
  console.log(`Published ${upload.name}@${upload.version}: ${upload.files.length} files`);
  for (const runtime of RUNTIMES) {
    const dir = `${work}/${runtime}`;
    makeProject(dir, program, runtime, upload);
    const { ok, output } = await start(runtime, dir, registry, server.url);
    console.log(`${ok ? "ok    " : "FAILED"} ${runtime}${ok ? "" : `\n${output}`}`);
    if (!ok) process.exitCode = 1;
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
