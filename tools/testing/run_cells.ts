import type { Cell } from "./cells.ts";
import { isLate } from "./junit.ts";
import type { Passed } from "./passed.ts";
import { playAgain } from "./play_again.ts";
import { failures, progress } from "./report.ts";
import { type CellResult, runCell } from "./run_cell.ts";

/** How many of the cells that mostly wait run beside the others. */
const LIGHT_JOBS = 2;

/** How to run cells. */
export interface RunOptions {
  /** How many run side by side, not counting those that mostly wait. */
  readonly jobs: number;
  /** Those that need not run again, and where those that pass are noted. */
  readonly passed?: Passed | undefined;
}

/**
 * Runs cells and tells how each went as soon as it has ended; the results come in the order of the cells. Late tests
 * are played once more at the end, when nothing else runs.
 */
export async function runCells(cells: readonly Cell[], { jobs, passed }: RunOptions): Promise<CellResult[]> {
  const results: CellResult[] = [];
  const open: Cell[] = [];
  for (const cell of cells) {
    const known = passed?.find(cell);
    if (known) console.log(`passed before: ${progress(known)}`);
    if (known) results.push(known);
    else open.push(cell);
  }
  for (const result of await runAll(open, jobs, (ended) => passed?.add(ended))) {
    if (!result.tests.some(isLate)) {
      results.push(result);
      continue;
    }
    const final = await playAgain(result);
    console.log(`late ones once more: ${progress(final)}`);
    passed?.add(final);
    results.push(final);
  }
  return results.sort((a, b) => cells.indexOf(a.cell) - cells.indexOf(b.cell));
}

async function runAll(
  cells: readonly Cell[],
  jobs: number,
  ended: (result: CellResult) => void,
): Promise<CellResult[]> {
  const light = cells.filter(({ isLight = false }) => isLight);
  const busy = cells.filter((cell) => !light.includes(cell));
  const results: CellResult[] = [];
  const work = async (take: () => Cell | undefined) => {
    for (let cell = take(); cell; cell = take()) {
      const result = await runCell(cell);
      results.push(result);
      ended(result);
      console.log(progress(result));
      const text = failures(result);
      if (text !== "") console.log(`\n${text}`);
    }
  };
  const lanes = Array.from({ length: jobs }, () => work(() => busy.shift() ?? light.shift()));
  const waiting = Array.from({ length: LIGHT_JOBS }, () => work(() => light.shift()));
  await Promise.all([...lanes, ...waiting]);
  return results;
}
