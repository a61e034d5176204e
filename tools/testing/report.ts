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

/** One row per cell: how many of its tests passed, failed and were skipped, and how long it took. */
export function table(results: readonly CellResult[]): string {
  const rows = results.map((result) => {
    const { passed, failed, skipped } = count([result]);
    return [result.cell.name, `${passed}`, `${failed}`, `${skipped}`, result.seconds.toFixed(1)];
  });
  const all = [["cell", "passed", "failed", "skipped", "seconds"], ...rows];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...all.map((row) => (row[column] ?? "").length)));
  const line = (row: string[]) =>
    row.map((text, i) => i === 0 ? text.padEnd(widths[i] ?? 0) : text.padStart(widths[i] ?? 0)).join("  ");
  return all.map(line).join("\n");
}
