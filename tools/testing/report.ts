import { RUNTIMES } from "../../tests/processes/runtimes.ts";
import { type Backend, SERVED } from "../../tests/conformance/deployments.ts";
import { hasServer, versionOf } from "../../tests/servers/available.ts";
import type { Cell } from "./cells.ts";
import { isLate } from "./junit.ts";
import { type CellResult, HUNG } from "./run_cell.ts";

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export function count(results: readonly CellResult[]): Counts {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const { tests } of results) for (const { status } of tests) counts[status]++;
  return counts;
}

export function summary({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed` + (skipped > 0 ? `, ${skipped} skipped` : "");
}

export function progress(result: CellResult): string {
  return `${result.cell.name}: ${summary(count([result]))} in ${result.seconds.toFixed(1)} s`;
}

function indent(text: string): string {
  return text.replaceAll(/^(?=.)/gm, "    ");
}

const OUTPUT_TAIL = 8000;

/** Every failed test in full, and what the runner printed where no test of the cell explains the failure. */
export function failures({ cell, tests, output }: CellResult): string {
  const failed = tests.filter((test) => test.status === "failed");
  const texts = failed.map((test) =>
    `${isLate(test) ? "LATE" : "FAILED"} ${cell.name}: ${test.name}\n${indent(test.detail)}\n`
  );
  if (failed.some(({ file }) => file === undefined)) {
    texts.push(`OUTPUT of ${cell.name}\n${indent(output.slice(-OUTPUT_TAIL).trim())}\n`);
  }
  return texts.join("\n");
}

/** How many lines the failures may take at the end of the output, as far as each has two. */
const END_LINES = 40;
const HEAD_LINES = 12;

/** So long that a line of it is not worth more. */
const LINE_LENGTH = 200;

/** Every failed test and how its failure begins: what a reader wants beside the counts, at the end of a long output. */
function failedTests(results: readonly CellResult[]): string[] {
  const all = results.flatMap(({ cell, tests }) =>
    tests.filter(({ status }) => status === "failed").map((test) => ({ cell, ...test }))
  );
  const lines = Math.min(HEAD_LINES, Math.max(2, Math.floor(END_LINES / all.length)));
  return all.map(({ cell, name, detail }) => {
    const isHung = name === HUNG;
    const head = detail.trim().split("\n").slice(0, isHung ? HEAD_LINES : lines)
      .map((line) => line.slice(0, isHung ? 2 * LINE_LENGTH : LINE_LENGTH)).join("\n");
    return `${isHung ? "ENDED" : "FAILED"} ${cell.name}: ${name}\n${indent(head)}`.trimEnd();
  });
}

/** Every test that was late and passed when it was played once more, with what it said. */
function lateTests(results: readonly CellResult[]): string[] {
  return results.flatMap(({ cell, again }) =>
    again.map(({ name, detail }) => {
      const said = detail.split("\n").find((line) => line.includes("LateError")) ?? "";
      return `AGAIN ${cell.name}: ${name}: ${said.replace(/^.*LateError\]?: /, "")}`.slice(
        0,
        2 * LINE_LENGTH,
      );
    })
  );
}

/** What must be known of a run, after the table: what was late, what hung, what failed. */
export function ending(results: readonly CellResult[]): string[] {
  return [...lateTests(results), ...failedTests(results)];
}

/** Rows as lines, the first column to the left, the others to the right or, with `words`, to the left too. */
function align(rows: readonly (readonly string[])[], words = false): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? "").length))
  );
  const line = (row: readonly string[]) =>
    row.map((text, i) => i === 0 || words ? text.padEnd(widths[i] ?? 0) : text.padStart(widths[i] ?? 0)).join(
      "  ",
    );
  return rows.map((row) => line(row).trimEnd()).join("\n");
}

/** One row per cell: how many of its tests passed, failed and were skipped, and how long it took. */
export function table(results: readonly CellResult[]): string {
  const rows = results.map((result) => {
    const { passed, failed, skipped } = count([result]);
    return [result.cell.name, `${passed}`, `${failed}`, `${skipped}`, result.seconds.toFixed(1)];
  });
  return align([["cell", "passed", "failed", "skipped", "seconds"], ...rows]);
}

/** One row per backend: its driver, how its server runs, its version, which cases it has, and what each runtime counted. */
export function deploymentTable(backends: readonly Backend[], results: readonly CellResult[]): string {
  const rows = backends.map(({ name, driver, deployment, version, isWhole }) => {
    const own = results.filter(({ cell }) => backendOf(cell) === name);
    const isHere = version === undefined || hasServer(version.program, version.suite);
    const server = version && isHere ? versionOf(version.program, version.suite) : version?.title ?? "";
    const counts = RUNTIMES.map((runtime) => {
      const cells = own.filter(({ cell }) => cell.runtime === runtime);
      if (cells.length > 0) return summary(count(cells));
      return isHere ? "not chosen" : "EMPTY: cannot be fetched";
    });
    return [
      driver,
      SERVED[driver]?.deployments[deployment] ?? "this machine",
      server,
      isWhole ? "all" : "smoke",
      ...counts,
    ];
  });
  return align([["driver", "deployment", "server", "cases", ...RUNTIMES], ...rows], true);
}

function backendOf({ env }: Cell): string {
  return env["COORD_BACKEND"] ?? "";
}
