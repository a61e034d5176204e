import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { runtimeProgram } from "../processes/runtimes.ts";

const { tasks }: { tasks: Record<string, { command: string }> } = JSON.parse(
  readFileSync(new URL("../../deno.json", import.meta.url), "utf8"),
);

function task(name: string, ...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const [, ...words] = tasks[name]?.command.split(" ").slice(1) ?? [];
  return spawnSync(runtimeProgram("deno"), [...words, ...args], { encoding: "utf8" });
}

describe("a task", () => {
  for (const name of Object.keys(tasks)) {
    test(`prints its usage with --help: ${name}`, () => {
      const { status, stdout } = task(name, "--help");
      assert.equal(status, 0);
      assert.match(stdout, new RegExp(`deno task ${name}\\b`));
    });
  }

  test("says what it does not know, and its usage", () => {
    const { status, stderr } = task("test", "--al");
    assert.equal(status, 2);
    assert.match(stderr, /^Unknown option '--al'.*\n\n(.*\n)*.*deno task test/);
  });
});
