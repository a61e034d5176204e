import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type AccessOptions, credentials, readAccess } from "../../internal/access.ts";
import { systemClock } from "../../internal/clock.ts";
import { parseAddress } from "../../internal/url.ts";

const PATIENCE = { clock: systemClock, limit: 10_000, signal: new AbortController().signal };

function read(url: string, given: AccessOptions = {}, isSecure = false) {
  return readAccess<AccessOptions>("redis", parseAddress(url), given, { own: {}, isSecure });
}

async function tlsOf(url: string, given: AccessOptions = {}, isSecure = false) {
  return (await credentials(read(url, given, isSecure).access, PATIENCE)).tls;
}

test("readAccess() takes user and password from the URL, and rather from code", async () => {
  const url = "redis://ann:one@h?user=bob";
  const { user, password } = await credentials(read(url).access, PATIENCE);
  assert.deepEqual([user, password], ["bob", "one"]);
  const other = await credentials(read(url, { user: "eve", password: "two" }).access, PATIENCE);
  assert.deepEqual([other.user, other.password], ["eve", "two"]);
});

test("readAccess() encrypts where the scheme, the query or code says so, and verifies", async () => {
  assert.equal(await tlsOf("redis://h"), undefined);
  assert.equal(await tlsOf("redis://h?tls=false"), undefined);
  for (const tls of [await tlsOf("redis://h?tls=true"), await tlsOf("redis://h", { tls: true })]) {
    assert.deepEqual(tls, {});
  }
  assert.deepEqual(await tlsOf("rediss://h", {}, true), {});
  assert.deepEqual(await tlsOf("redis://h?servername=db.example"), { servername: "db.example" });
  assert.deepEqual(await tlsOf("redis://h", { tls: { rejectUnauthorized: false } }), {
    rejectUnauthorized: false,
  });
});

test("readAccess() refuses what contradicts itself, and names what is not known", () => {
  assert.throws(() => read("rediss://h?tls=false", {}, true), /"tls" of redis: it is false.*scheme/);
  assert.throws(() => read("redis://h?ca=f", { tls: false }), /it is false, but "ca"/);
  assert.throws(() => read("redis://h?cert=f"), /want both "cert" and "key"/);
  assert.throws(() => read("redis://h", { tls: { key: "k" } }), /want both "cert" and "key"/);
  assert.throws(
    () => read("redis://h", { ca: "text" } as AccessOptions),
    /"ca" of redis: in code it stands in "tls"/,
  );
  assert.throws(
    () => read("redis://h", { tls: { servernam: "x" } as Record<string, string> }),
    /did you mean "servername"/,
  );
  assert.throws(() => read("redis://h?servernme=x"), /did you mean "servername"/);
  assert.throws(() => read("redis://h", { timeout: -1 }), RangeError);
});

test("readAccess() takes the time-out of operations from the query, and rather from code", () => {
  assert.equal(read("redis://h?timeout=500").defaults.timeout, 500);
  assert.equal(read("redis://h?timeout=500", { timeout: 900 }).defaults.timeout, 900);
});

test("credentials() reads files again for each connection; text in code wins", async () => {
  const dir = mkdtempSync(join(tmpdir(), "coord-access-"));
  try {
    const [ca, cert, key] = ["ca", "cert", "key"].map((name) => join(dir, name));
    for (const file of [ca, cert, key]) writeFileSync(file ?? "", `first ${file}`);
    const { access } = read(`redis://h?ca=${ca}&cert=${cert}&key=${key}`, { tls: { ca: "in code" } });
    const expected = { ca: "in code", cert: `first ${cert}`, key: `first ${key}` };
    assert.deepEqual((await credentials(access, PATIENCE)).tls, expected);
    writeFileSync(key ?? "", "second");
    assert.deepEqual((await credentials(access, PATIENCE)).tls, { ...expected, key: "second" });
    rmSync(cert ?? "");
    await assert.rejects(credentials(access, PATIENCE), /file ".*cert" of "cert" cannot be read/);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("credentials() asks the function for the password each time", async () => {
  let count = 0;
  const { access } = read("redis://h", { password: () => Promise.resolve(`secret ${++count}`) });
  assert.equal((await credentials(access, PATIENCE)).password, "secret 1");
  assert.equal((await credentials(access, PATIENCE)).password, "secret 2");
});

test("credentials() rejects when the function fails, hangs or gives no string, without its words", async () => {
  const failing = read("redis://h", { password: () => Promise.reject(new Error("s3cret")) });
  await assert.rejects(credentials(failing.access, PATIENCE), (error: Error) => {
    assert.equal(error.message, 'the function "password" failed');
    return true;
  });
  const hanging = read("redis://h", { password: () => new Promise<string>(() => {}) });
  await assert.rejects(credentials(hanging.access, { ...PATIENCE, limit: 5 }), /no password within 5 ms/);
  const reason = new Error("given up");
  const aborted = { ...PATIENCE, signal: AbortSignal.abort(reason) };
  await assert.rejects(credentials(hanging.access, aborted), (error) => error === reason);
  const wrong = read("redis://h", { password: (() => 1) as unknown as () => string });
  await assert.rejects(credentials(wrong.access, PATIENCE), /gave no string/);
});
