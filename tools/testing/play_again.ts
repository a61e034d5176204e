import { resolve } from "node:path";
import type { Cell } from "./cells.ts";
import { isLate, type TestResult } from "./junit.ts";
import { type CellResult, runCell } from "./run_cell.ts";

/** The share of a cell's tests that may be late; one may be in any cell. */
const SHARE = 0.02;

/**
 * Plays the late tests of a cell once more, each alone: it has passed if it passes now. Where more are late than a slow
 * machine explains, the cell fails.
 */
export async function playAgain(result: CellResult): Promise<CellResult> {
  const late = result.tests.filter(isLate);
  if (late.length > Math.max(1, result.tests.length * SHARE)) {
    const detail = `${late.length} of ${result.tests.length} were`;
    const failure: TestResult = { name: "few tests are late", file: undefined, status: "failed", detail };
    return { ...result, tests: [...result.tests, failure] };
  }
  const again: TestResult[] = [];
  const tests = new Set(result.tests);
  for (const test of late) {
    const second = await runCell(only(result.cell, test));
    const failed = second.tests.find(({ status }) => status === "failed");
    tests.delete(test);
    if (failed) tests.add({ ...test, detail: `${failed.detail}\nAnd before: ${test.detail}` });
    else tests.add({ ...test, status: "passed" });
    if (!failed) again.push(test);
  }
  return { ...result, tests: [...tests], again };
}

/** The cell with nothing but one of its tests. */
function only(cell: Cell, { name, file }: TestResult): Cell {
  const env = { ...cell.env, COORD_CASES: `^${escape(name)}$` };
  if (cell.files.some(isConformance)) return { ...cell, env };
  // A test within a suite cannot be picked everywhere: its suite can.
  const [top = name] = name.split(" > ");
  const files = cell.files.filter((own) => file === undefined || resolve(own) === resolve(file));
  return { ...cell, files, pattern: escape(top) };
}

/** Its cases are picked by themselves, as the backend would else be started for nothing. */
function isConformance(file: string): boolean {
  return file === "tests/conformance/conformance_test.ts";
}

/** For a regular expression, also between slashes. */
function escape(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}
