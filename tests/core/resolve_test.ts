import assert from "node:assert/strict";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { type Backend, type DriverFactory, getCoordinator, UnknownDriverError } from "../../mod.ts";
import { resolve } from "../../core/resolve.ts";
import { zake } from "../../drivers/zake.ts";

/** What a URL resolves to, as text and as `URL`. */
async function driversOf(url: string): Promise<string[]> {
  return [(await resolve(url)).driver, (await resolve(new URL(url))).driver];
}

test("resolve() knows zake: [C20, C25]", async () => {
  assert.deepEqual(await driversOf("zake://resolve-test"), ["zake", "zake"]);
});

test("resolve() knows redis:, and connects nothing [C16, C20, C26]", async () => {
  // Nothing listens on port 1.
  assert.deepEqual(await driversOf("redis://127.0.0.1:1/0"), ["redis", "redis"]);
});

test("resolve() knows file:, and makes no directory [C16, C20, C27]", async () => {
  const directory = join(tmpdir(), `coord-resolve-${crypto.randomUUID()}`);
  assert.deepEqual(await driversOf(pathToFileURL(directory).href), ["file", "file"]);
  assert.equal(existsSync(directory), false);
});

test("resolve() knows ipc:, and makes nothing [C16, C20, C30]", async () => {
  assert.deepEqual(await driversOf("ipc:?namespace=resolve-test"), ["ipc", "ipc"]);
  assert.equal(existsSync("/dev/shm/tooz-coord-resolve-test"), false);
});

test("resolve() knows zookeeper: and kazoo:, and connects nothing [C16, C20, C28]", async () => {
  for (const scheme of ["zookeeper", "kazoo"]) {
    assert.deepEqual(await driversOf(`${scheme}://127.0.0.1:1/path`), ["zookeeper", "zookeeper"]);
  }
});

test("resolve() knows etcd: by all its names, and consul:", async () => {
  for (const scheme of ["etcd", "etcd3", "etcd3+http"]) {
    assert.deepEqual(await driversOf(`${scheme}://127.0.0.1:1`), ["etcd", "etcd"]);
  }
  assert.deepEqual(await driversOf("consul://127.0.0.1:1"), ["consul", "consul"]);
});

test("resolve() knows memcached: and connects nothing [C29]", async () => {
  assert.deepEqual(await driversOf("memcached://127.0.0.1:1"), ["memcached", "memcached"]);
});

test("resolve() names the known schemes for one that it does not know, without credentials [C24]", async () => {
  await assert.rejects(resolve("mongo://user:s3cret@host/?password=s3cret"), (error: Error) => {
    assert.ok(error instanceof UnknownDriverError);
    assert.match(error.message, /no driver for "mongo:" among .*file: .*redis: .*zake:/);
    assert.doesNotMatch(`${error.message} ${error.stack}`, /s3cret|user/);
    assert.equal(error.code, "UNKNOWN_DRIVER");
    return true;
  });
});

test("resolve() says what to write where a driver's module is missing [C21]", async () => {
  // What a bundler leaves: core, and none of the modules that no import names.
  const directory = mkdtempSync(join(tmpdir(), "coord-bundle-"));
  try {
    for (const part of ["core", "internal", "driver.ts", "characteristics.ts"]) {
      cpSync(new URL(`../../${part}`, import.meta.url), join(directory, part), { recursive: true });
    }
    writeFileSync(join(directory, "package.json"), '{ "type": "module" }');
    const copy: typeof import("../../core/resolve.ts") = await import(
      pathToFileURL(join(directory, "core/resolve.ts")).href
    );
    await assert.rejects(copy.resolve("redis://u:s3cret@h"), (error: UnknownDriverError) => {
      assert.deepEqual([error.name, error.code, error.driver], [
        "UnknownDriverError",
        "UNKNOWN_DRIVER",
        "redis",
      ]);
      assert.ok(error.message.includes('`import { redis } from "@tooz/coord/redis"`'), error.message);
      assert.ok(error.message.includes("{ drivers: { redis: redis } }"), error.message);
      assert.doesNotMatch(error.message, /s3cret/);
      assert.ok(error.cause instanceof Error);
      return true;
    });
    await assert.rejects(copy.resolve("etcd3+https://h"), (error: UnknownDriverError) => {
      assert.ok(error.message.includes('{ drivers: { "etcd3+https": etcd } }'), error.message);
      return true;
    });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test("resolve() says what to write where a bundle has no URL of its own [C21]", async () => {
  const directory = mkdtempSync(join(tmpdir(), "coord-bundle-"));
  try {
    for (const part of ["core", "internal", "driver.ts", "characteristics.ts"]) {
      cpSync(new URL(`../../${part}`, import.meta.url), join(directory, part), { recursive: true });
    }
    writeFileSync(join(directory, "package.json"), '{ "type": "module" }');
    // As in a bundle for CommonJS.
    const file = join(directory, "core/resolve.ts");
    const text = readFileSync(file, "utf8");
    writeFileSync(file, text.replaceAll("import.meta.url", "({} as ImportMeta).url"));
    const copy: typeof import("../../core/resolve.ts") = await import(pathToFileURL(file).href);
    await assert.rejects(copy.resolve("redis://h"), (error: UnknownDriverError) => {
      assert.equal(error.code, "UNKNOWN_DRIVER", String(error));
      assert.ok(error.message.includes('`import { redis } from "@tooz/coord/redis"`'), error.message);
      return true;
    });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test("resolve() takes a driver by its scheme from code, also for one that it knows [C13]", async () => {
  const backend = zake();
  const factory: DriverFactory = () => backend;
  assert.equal(await resolve("mine://x", { mine: factory }), backend);
  assert.equal(await resolve("redis://x", { redis: factory }), backend);
  await using coord = await getCoordinator("mine://x?ignored", { drivers: { mine: factory } });
  assert.equal(coord.driver, "zake");
});

test("resolve() takes no driver from the prototype of drivers", async () => {
  await assert.rejects(resolve("constructor://x", {}), UnknownDriverError);
});

test("resolve() says what it wants when given no backend [R3]", async () => {
  for (const wrong of [null, 7, {}, { driver: "mine" }]) {
    await assert.rejects(resolve(wrong as unknown as Backend), TypeError);
  }
  await assert.rejects(resolve("localhost"), TypeError);
  await assert.rejects(resolve(""), TypeError);
});
