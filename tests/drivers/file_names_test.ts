import assert from "node:assert/strict";
import * as fs from "node:fs";
import { test } from "node:test";
import { decodeName, encodeName } from "../../internal/files/names.ts";
import { World } from "./file_world.ts";

test("names never meet and never leave the directory", async () => {
  const long = "x".repeat(1024);
  const names = [
    "../x",
    "a/b",
    "a%2fb",
    "%",
    "..",
    ".",
    "Job",
    "job",
    "JOB",
    "jöb",
    "😀",
    "a b",
    "~",
    "x~y",
    long,
    `${long.slice(1)}y`,
  ];
  assert.equal(new Set(names.map((name) => encodeName(name).toLowerCase())).size, names.length);
  for (const name of names) {
    assert.match(encodeName(name), /^[^./][^/]{0,220}$/);
    if (name.length < 100) assert.equal(decodeName(encodeName(name)), name);
  }
  await using world = new World();
  const [one, other] = [await world.open("one"), await world.open("one", { namespace: "../test" })];
  for (const name of names) {
    const [grant] = [
      await one.take(name),
      await one.take(name, { kind: "election" }),
      await other.take(name),
    ];
    assert.equal((await one.entries(name))[0]?.token, grant.token);
  }
  assert.deepEqual(fs.readdirSync(world.directory).sort(), ["%2e.%2ftest", "test"]);
});
