import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { currentRuntime, runtimeProgram } from "../processes/runtimes.ts";

/** What `deno info --json` says of a module. */
interface Graph {
  readonly modules: readonly { readonly specifier: string; readonly error?: string }[];
  readonly npmPackages?: Readonly<
    Record<string, { readonly name: string; readonly dependencies: readonly string[] }>
  >;
}

const ROOT = new URL("../../", import.meta.url);

/** The graph is Deno's, and the same whoever asks for it. */
const ONCE = currentRuntime === "deno" ? {} : { skip: "the module graph is looked at once, on Deno" };

function graphOf(entry: string): Graph {
  const args = ["info", "--json", entry];
  const { stdout, stderr, status } = spawnSync(runtimeProgram("deno"), args, {
    cwd: fileURLToPath(ROOT),
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout);
}

/** The files that an entry pulls in, relative to the root; without npm's and the runtime's. */
function filesOf({ modules }: Graph): string[] {
  return modules.map(({ specifier }) => specifier)
    .filter((specifier) => specifier.startsWith(ROOT.href) && !specifier.includes("/node_modules/"))
    .map((specifier) => specifier.slice(ROOT.href.length));
}

/** The npm packages that an entry pulls in. */
function packagesOf({ modules, npmPackages = {} }: Graph): string[] {
  const resolved = modules.map(({ specifier }) =>
    /\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(specifier)?.[1]
  );
  const named = modules.map(({ specifier }) => /^npm:\/?((?:@[^/@]+\/)?[^/@]+)/.exec(specifier)?.[1]);
  const listed = Object.values(npmPackages).map(({ name }) => name);
  return [...new Set([...resolved, ...named, ...listed])].filter((name) => name !== undefined).sort();
}

function driversOf(files: readonly string[]): string[] {
  return [...new Set(files.map((file) => /^drivers\/([a-z]+)/.exec(file)?.[1]))].filter((name) =>
    name !== undefined
  );
}

test("mod.ts pulls in no driver and no npm package [C18]", ONCE, () => {
  const graph = graphOf("mod.ts");
  const files = filesOf(graph);
  assert.ok(files.includes("mod.ts") && files.includes("core/lease.ts"), "the graph is that of mod.ts");
  assert.deepEqual(driversOf(files), []);
  assert.deepEqual(packagesOf(graph), []);
});

for (const driver of ["zake", "file", "ipc", "memcached"]) {
  test(`drivers/${driver}.ts pulls in no npm package and no other driver [C15]`, ONCE, () => {
    const graph = graphOf(`drivers/${driver}.ts`);
    assert.deepEqual(driversOf(filesOf(graph)), [driver]);
    assert.deepEqual(packagesOf(graph), []);
  });
}

const CLIENTS = { redis: "ioredis", zookeeper: "node-zookeeper-client", etcd: "etcd3", consul: "consul" };

for (const [driver, client] of Object.entries(CLIENTS)) {
  test(`drivers/${driver}.ts pulls in ${client} and what that needs, and no other driver [C19]`, ONCE, () => {
    const graph = graphOf(`drivers/${driver}.ts`);
    assert.deepEqual(driversOf(filesOf(graph)), [driver]);
    const packages = packagesOf(graph);
    assert.ok(packages.includes(client), packages.join());
    // Types are for the compiler: nothing of them is there when the module runs.
    const foreign = packages.filter((name) =>
      name !== client && !neededBy(client).has(name) && !name.startsWith("@types/")
    );
    assert.deepEqual(foreign, []);
  });
}

/** A package's dependencies, and theirs, by their installed manifests. */
function neededBy(name: string, found = new Set<string>()): Set<string> {
  const { dependencies = {} }: { dependencies?: Record<string, string> } = manifestOf(name);
  for (const dependency of Object.keys(dependencies)) {
    if (found.has(dependency)) continue;
    found.add(dependency);
    neededBy(dependency, found);
  }
  return found;
}

function manifestOf(name: string): { dependencies?: Record<string, string> } {
  return JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, ROOT), "utf8"));
}

for (const driver of ["zake", "file", "ipc", "memcached", ...Object.keys(CLIENTS)]) {
  test(`@tooz/coord/${driver} exports ${driver}() [C15, C17]`, async () => {
    const module: Record<string, unknown> = await import(new URL(`drivers/${driver}.ts`, ROOT).href);
    assert.equal(typeof module[driver], "function");
    const functions = Object.values(module).filter((value) => typeof value === "function" && !isClass(value));
    assert.deepEqual(functions, [module[driver]]);
  });
}

function isClass(value: unknown): boolean {
  return /^class\b/.test(String(value));
}
