import { RUNTIMES } from "../../tests/processes/runtimes.ts";
import { versionOf } from "../../tests/servers/available.ts";
import type { Cell } from "./cells.ts";
import type { CellResult } from "./run_cell.ts";

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
  const texts = failed.map(({ name, detail }) => `FAILED ${cell.name}: ${name}\n${indent(detail)}\n`);
  if (failed.some(({ file }) => file === undefined)) {
    texts.push(`OUTPUT of ${cell.name}\n${indent(output.slice(-OUTPUT_TAIL).trim())}\n`);
  }
  return texts.join("\n");
}

const HEAD_LINES = 12;

/** Every failed test and how its failure begins: what a reader wants beside the counts, at the end of a long output. */
export function failedTests(results: readonly CellResult[]): string[] {
  return results.flatMap(({ cell, tests }) =>
    tests.filter(({ status }) => status === "failed").map(({ name, detail }) => {
      const head = detail.trim().split("\n").slice(0, HEAD_LINES).join("\n");
      return `FAILED ${cell.name}: ${name}\n${indent(head)}`.trimEnd();
    })
  );
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

/** One row per backend: its driver, how its server runs, what that says of its version, and what each runtime counted. */
export function deploymentTable(results: readonly CellResult[]): string {
  const backends = [...new Set(results.map(({ cell }) => backendOf(cell)))];
  const rows = backends.map((backend) => {
    const [driver = "", ...deployment] = backend.split("_");
    const own = results.filter(({ cell }) => backendOf(cell) === backend);
    const { needs } = own[0]?.cell ?? {};
    const counts = RUNTIMES.map((runtime) => own.filter(({ cell }) => cell.runtime === runtime)).map((
      cells,
    ) => cells.length === 0 ? "not run" : summary(count(cells)));
    return [driver, deployment.join(" "), needs ? versionOf(needs.name, needs.suite) : "", ...counts];
  });
  return align([["driver", "deployment", "server", ...RUNTIMES], ...rows], true);
}

function backendOf({ env }: Cell): string {
  return env["COORD_BACKEND"] ?? "";
}
