import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { after, describe, test } from "node:test";
import type { Cell } from "../../tools/testing/cells.ts";
import { Passed } from "../../tools/testing/passed.ts";
import { ending } from "../../tools/testing/report.ts";
import type { CellResult } from "../../tools/testing/run_cell.ts";
import { runCells } from "../../tools/testing/run_cells.ts";
import { eventually } from "../conformance/waiting.ts";
import { type Runtime, RUNTIMES } from "../processes/runtimes.ts";
import { isRunning } from "../servers/process_tree.ts";

const folder = mkdtempSync(join(tmpdir(), "coord-planted-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const HEAD = `
import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { spawn } from "node:child_process";
import { test } from "node:test";
import { LateError } from "${new URL("../late.ts", import.meta.url)}";
import { diesWithUs } from "${new URL("../servers/process_tree.ts", import.meta.url)}";
function once(name) {
  const mark = new URL("./" + name + ".mark", import.meta.url);
  const isFirst = !existsSync(mark);
  writeFileSync(mark, "");
  return isFirst;
}
`;

/** A cell with one file of planted tests. */
function planted(name: string, tests: string, { runtime = "deno", limit = 60_000 }: {
  runtime?: Runtime;
  limit?: number;
} = {}): Cell {
  const file = `${folder}/${name}_test.ts`;
  writeFileSync(file, HEAD + tests);
  return { name: `${name} on ${runtime}`, runtime, files: [relative(".", file)], env: {}, limit };
}

async function outcome(cell: Cell): Promise<CellResult> {
  const [result] = await runCells([cell], { jobs: 1 });
  assert.ok(result);
  return result;
}

function failed({ tests }: CellResult): string[] {
  return tests.filter(({ status }) => status === "failed").map(({ name }) => name);
}

describe("runCells()", () => {
  for (const runtime of RUNTIMES) {
    test(`plays a test that is late once more on ${runtime}, and says so`, async () => {
      const name = `late-${runtime}`;
      const result = await outcome(planted(
        name,
        `test("is (late) / once", () => { if (once("${name}")) throw new LateError("Not within 5 ms: a bell"); });
         test("passes", () => {});`,
        { runtime },
      ));
      assert.deepEqual(failed(result), []);
      assert.equal(result.tests.length, 2);
      assert.match(
        ending([result]).join("\n"),
        /^AGAIN late.*: is \(late\) \/ once: Not within 5 ms: a bell$/,
      );
    });
  }

  test("fails a test that is late both times", async () => {
    const result = await outcome(planted(
      "always",
      `test("is late", () => { throw new LateError("Not within 5 ms: a bell"); });`,
    ));
    assert.deepEqual(failed(result), ["is late"]);
    assert.match(ending([result]).join("\n"), /^FAILED always on deno: is late\n.*Not within 5 ms: a bell/);
  });

  test("fails a cell with many late tests", async () => {
    const result = await outcome(planted(
      "many",
      `test("one", () => { if (once("many-1")) throw new LateError("Not within 5 ms"); });
       test("two", () => { if (once("many-2")) throw new LateError("Not within 5 ms"); });`,
    ));
    assert.ok(failed(result).includes("few tests are late"));
  });

  test("never plays anything else once more", async () => {
    const result = await outcome(planted(
      "wrong",
      `test("is wrong", () => { if (once("wrong")) assert.equal("a holder", "another"); });`,
    ));
    assert.deepEqual(failed(result), ["is wrong"]);
    assert.deepEqual(result.again, []);
  });

  test("ends a cell that hangs, with all that it started, and tells the last lines", async () => {
    const pid = `${folder}/pid`;
    const result = await outcome(planted(
      "hang",
      `test("hangs", () => {
         const [file, ...args] = [...diesWithUs(), "sleep", "300"];
         const child = spawn(file, args, { detached: true, stdio: "ignore" });
         writeFileSync("${pid}", String(child.pid));
         console.log("BEGUN a case that hangs");
         for (;;);
       });`,
      { limit: 3_000 },
    ));
    assert.deepEqual(failed(result), ["the runner ended"]);
    const end = ending([result]).join("\n");
    assert.match(end, /^ENDED hang on deno.*\n.*without a word.*a case that hangs/);
    assert.match(end, /The last lines were:\n(.*\n)*.*BEGUN a case that hangs/);
    await eventually(() => !isRunning(Number(readFileSync(pid, "utf8"))));
  });

  test("runs no cell again that has passed on this tree, unless asked to", async () => {
    const cell = planted("passed", `test("passes once", () => assert.ok(once("passed")));`);
    const results = `${folder}/results`;
    for (let i = 0; i < 2; i++) {
      const passed = new Passed(results, { fresh: false });
      const [result] = await runCells([cell], { jobs: 1, passed });
      assert.ok(result);
      assert.deepEqual(failed(result), []);
      assert.deepEqual(result.tests.map(({ name }) => name), ["passes once"]);
    }
    const fresh = new Passed(results, { fresh: true });
    const [result] = await runCells([cell], { jobs: 1, passed: fresh });
    assert.ok(result);
    assert.deepEqual(failed(result), ["passes once"]);
    assert.equal(fresh.find(cell), undefined);
  });
});
