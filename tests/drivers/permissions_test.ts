// What each driver's page says of Deno's permissions, tried: with them it works, and there is no prompt for more.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { outputOf } from "../processes/output.ts";
import { currentRuntime, runtimeProgram } from "../processes/runtimes.ts";
import { hasServer } from "../servers/available.ts";
import { findBinary } from "../servers/binaries.ts";
import { startConsul } from "../servers/consul.ts";
import { startEtcd } from "../servers/etcd.ts";
import { startMemcached } from "../servers/memcached.ts";
import { startMariadb } from "../servers/mysql.ts";
import { startPostgresql } from "../servers/postgresql.ts";
import { startRedis } from "../servers/redis.ts";
import { startRedisCluster } from "../servers/redis_cluster.ts";
import { startRedisSentinels } from "../servers/redis_sentinels.ts";
import type { Server } from "../servers/server.ts";
import { startZooKeeper } from "../servers/zookeeper.ts";

const ROOT = new URL("../../", import.meta.url);
const ROOT_PATH = fileURLToPath(ROOT);

/** What a program connects to. */
type Place = Pick<Server, "url" | "port"> & AsyncDisposable & {
  /** Where it is several servers. */
  readonly nodes?: readonly Pick<Server, "port">[];
  /** Where it is files. */
  readonly folder?: string;
};

/** Where there is nothing to start. */
function nothing(url: string): Promise<Place> {
  return Promise.resolve({ url, port: 0, [Symbol.asyncDispose]: () => Promise.resolve() });
}

/** A place of files, which are removed with it. */
function directory(): Promise<Place> {
  const folder = mkdtempSync(join(tmpdir(), "coord-permissions-"));
  return Promise.resolve({
    url: pathToFileURL(folder).href,
    port: 0,
    folder,
    [Symbol.asyncDispose]: () => Promise.resolve(rmSync(folder, { recursive: true })),
  });
}

const STARTS: Readonly<Record<string, { readonly needs?: string; readonly start: () => Promise<Place> }>> = {
  file: { start: directory },
  ipc: { start: () => nothing("ipc:?namespace=permissions") },
  mysql: { needs: "mariadbd", start: () => startMariadb() },
  postgresql: { needs: "postgres", start: () => startPostgresql() },
  redis: { needs: "redis-server", start: startRedis },
  redis_sentinel: { needs: "redis-server", start: () => startRedisSentinels() },
  redis_cluster: { needs: "redis-server", start: () => startRedisCluster() },
  zookeeper: { needs: "zookeeper", start: startZooKeeper },
  etcd: { needs: "etcd", start: startEtcd },
  consul: { needs: "consul", start: startConsul },
  memcached: { needs: "memcached", start: startMemcached },
};

/** The flags that a page names for Deno, for these servers. */
function permissionsOf(driver: string, { port, nodes = [{ port }], folder = "" }: Place): string[] {
  const hosts = nodes.map((node) => `127.0.0.1:${node.port}`).join(",");
  const page = readFileSync(new URL(`docs/drivers/${driver}.md`, ROOT), "utf8");
  const flags = /^- \*\*Deno\*\*: `(--[^`]+)`/m.exec(page)?.[1];
  assert.ok(flags, `the page of ${driver} names the permissions`);
  return flags.replaceAll(/\s+/g, " ").replaceAll("HOST:PORT", hosts).replaceAll("DIRECTORY", folder).split(
    " ",
  );
}

/** What a user would write, with imports that need no permission. */
function program(driver: string, url: string): string {
  return `
    import { getCoordinator } from "${new URL("mod.ts", ROOT)}";
    import { ${driver} } from "${new URL(`drivers/${driver}.ts`, ROOT)}";
    await using coord = await getCoordinator(${driver}(${JSON.stringify(url)}), { memberId: "m" });
    await coord.lock("l").use(async () => {});
    await using membership = await coord.group("g").join({}, { create: true });
    await using watch = await coord.group("g").watch();
    console.log(membership.group, watch.members.size);
  `;
}

/** All that may be permitted besides connections. */
const PERMISSIONS = ["env", "ffi", "read", "run", "sys", "write"];

/** Runs what Deno is told to, with these permissions and with no other. */
async function run(permissions: readonly string[], program: readonly string[], input = ""): Promise<string> {
  const denied = PERMISSIONS.filter((name) => !permissions.some((flag) => flag.includes(`-${name}`)));
  const flags = ["--no-prompt", "--no-check", ...permissions, ...denied.map((name) => `--deny-${name}`)];
  const { said, code } = await outputOf([runtimeProgram("deno"), "run", ...flags, ...program], {
    input,
    cwd: ROOT_PATH,
  });
  return `${said.trim()}, exit ${code}`;
}

/** Puts a program and all that it imports into one file. */
async function bundle(text: string, dir: string): Promise<string> {
  const [entry, file] = [join(dir, "program.ts"), join(dir, "program.mjs")];
  // The bundler takes paths and no URLs.
  writeFileSync(entry, text.replaceAll(ROOT.href, ROOT_PATH));
  const words = ["build", "--target=node", "--format=esm", `--outfile=${file}`, entry];
  const { said, code } = await outputOf([runtimeProgram("bun"), ...words], { cwd: ROOT_PATH });
  assert.equal(code, 0, said);
  return file;
}

/** The same permissions, and that to read these files. */
function readingToo(permissions: readonly string[], files: readonly string[]): string[] {
  const read = /^--allow-read=/;
  const others = permissions.filter((flag) => !read.test(flag));
  const known = permissions.filter((flag) => read.test(flag)).map((flag) => flag.replace(read, ""));
  return [...others, `--allow-read=${[...known, ...files]}`];
}

/** The files that a URL names. */
function filesOf(url: string): string[] {
  return [...url.matchAll(/[?&](?:ca|cert|key)=([^&]*)/g)].map(([, file = ""]) => file);
}

for (const [deployment, { needs, start }] of Object.entries(STARTS)) {
  const driver = deployment.replace(/_.*/, "");
  const skip = currentRuntime !== "deno" || (needs !== undefined && !hasServer(needs));
  test(
    `the permissions on the page of ${driver} are enough for ${deployment} on Deno, in one file as well`,
    {
      skip,
      timeout: 60_000,
    },
    async () => {
      await using server = await start();
      const permissions = permissionsOf(driver, server);
      const text = program(driver, server.url);
      assert.equal(await run(permissions, ["--ext=ts", "-"], text), "g 1, exit 0");
      const dir = mkdtempSync(join(tmpdir(), "coord-bundle-"));
      try {
        const file = await bundle(text, dir);
        assert.equal(await run(permissions, ["--no-config", file]), "g 1, exit 0");
      } finally {
        rmSync(dir, { recursive: true });
      }
    },
  );
}

const SECURE: Readonly<Record<string, { readonly needs: string; readonly start: () => Promise<Place> }>> = {
  mysql: { needs: "mariadbd", start: () => startMariadb({ tls: true }) },
  postgresql: { needs: "postgres", start: () => startPostgresql({ tls: true }) },
  redis: { needs: "redis-server", start: () => startRedis({ tls: true }) },
  zookeeper: { needs: "zookeeper", start: () => startZooKeeper({ tls: true, suite: "bookworm" }) },
  etcd: { needs: "etcd", start: () => startEtcd({ tls: true }) },
  consul: { needs: "consul", start: () => startConsul({ tls: true }) },
  memcached: { needs: "memcached", start: () => startMemcached({ tls: true }) },
};

for (const [driver, { needs, start }] of Object.entries(SECURE)) {
  const skip = currentRuntime !== "deno" || !hasServer(needs) || !findBinary("openssl");
  test(`with TLS, ${driver} needs to read its three files on Deno, and no more`, {
    skip,
    timeout: 60_000,
  }, async () => {
    await using server = await start();
    const files = filesOf(server.url);
    assert.equal(files.length, 3);
    const [permissions, text] = [permissionsOf(driver, server), program(driver, server.url)];
    assert.equal(
      await run(readingToo(permissions, files), ["--ext=ts", "-"], text),
      "g 1, exit 0",
    );
    const [, ...without] = files;
    const refusal = await run(readingToo(permissions, without), ["--ext=ts", "-"], text);
    assert.match(refusal, /of "ca" cannot be read/);
  });
}
