import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { StoreEvent } from "../../examples/demo/messages.ts";
import { Store } from "../../examples/demo/store.ts";
import { commandFor, currentRuntime } from "../processes/runtimes.ts";

const RESULT = { lines: 1, words: 1, sha256: "" };

describe("the store of the demo", () => {
  const folder = mkdtempSync(join(tmpdir(), "coord-store-"));
  after(() => rmSync(folder, { recursive: true }));

  function openStore(fencing: boolean): { store: Store; events: StoreEvent["type"][] } {
    const events: StoreEvent["type"][] = [];
    const settings = { files: ["x"], fencing, journal: join(folder, "journal") };
    return { store: new Store(settings, ({ type }) => events.push(type)), events };
  }

  test("refuses a token that is smaller than one it was shown", () => {
    const { store, events } = openStore(true);
    assert.ok(store.claim({ file: "x", worker: "a", token: "1" }));
    assert.ok(store.claim({ file: "x", worker: "b", token: "2" }));
    assert.equal(store.write({ file: "x", worker: "a", token: "1" }, RESULT), false);
    assert.equal(store.write({ file: "x", worker: "b", token: "2" }, RESULT), true);
    assert.deepEqual(events, ["taken over", "refused", "written"]);
  });

  test("takes anything without fencing", () => {
    const { store, events } = openStore(false);
    store.claim({ file: "x", worker: "b", token: "2" });
    store.write({ file: "x", worker: "b", token: "2" }, RESULT);
    assert.equal(store.write({ file: "x", worker: "a", token: "1" }, RESULT), true);
    assert.deepEqual(events, ["written", "written"]);
  });

  test("tells a latecomer that there is nothing left to do", () => {
    const { store } = openStore(true);
    store.write({ file: "x", worker: "a", token: "1" }, RESULT);
    assert.equal(store.claim({ file: "x", worker: "b", token: "2" }), false);
    assert.deepEqual(store.pending(), []);
  });
});

describe("the demo", () => {
  const folder = mkdtempSync(join(tmpdir(), "coord-demo-test-"));
  before(() => {
    mkdirSync(join(folder, "below"));
    for (let i = 0; i < 6; i++) writeFileSync(join(folder, "below", `${i} é\n.txt`), "two words\n".repeat(i));
  });
  after(() => rmSync(folder, { recursive: true }));

  function runDemo(...args: string[]): Promise<{ code: number | null; output: string }> {
    const script = new URL("../../examples/demo/main.ts", import.meta.url);
    const [file = "", ...rest] = commandFor(currentRuntime, script, args);
    const child = spawn(file, rest, { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (s) => output += s);
    }
    return new Promise((resolve, reject) => {
      child.once("error", reject).once("close", (code) => resolve({ code, output }));
    });
  }

  test("passes with two kills and a late write refused", async () => {
    const { code, output } = await runDemo(folder, "--workers", "3", "--seconds", "2");
    assert.match(output, /VERDICT: passed: .* each of 6 files .* late writes refused: 1\), kills: 2/, output);
    assert.match(output, /Summary by worker-\d: 6 files, 15 lines, 30 words/);
    assert.equal(code, 0);
  });

  test("fails without fencing: a stopped holder overwrites its successor", async () => {
    const { code, output } = await runDemo(folder, "--workers", "3", "--seconds", "2", "--break-fencing");
    assert.match(output, /VERDICT: FAILED: .*\n.* was written by .* then overwritten by /, output);
    assert.equal(code, 1);
  });

  for (
    const [args, message] of [
      [["--workers", "1"], /Cannot use --workers "1": want a whole number from 2 to 64/],
      [["/nowhere"], /Cannot read folder "\/nowhere": there is none/],
      [[folder, "--backend", "zake:"], /it lacks DISTRIBUTED_ACROSS_PROCESSES/],
    ] as const
  ) {
    test(`says what is wrong with ${args.join(" ").replace(folder, "FOLDER")}`, async () => {
      const { code, output } = await runDemo(...args);
      assert.match(output, message);
      assert.equal(code, 1);
    });
  }
});
