import type { Cell } from "./cells.ts";
import { failures, progress } from "./report.ts";
import { type CellResult, runCell } from "./run_cell.ts";

/** How many of the cells that mostly wait run beside the others. */
const LIGHT_JOBS = 2;

/** How to run cells. */
export interface RunOptions {
  /** How many run side by side, not counting those that mostly wait. */
  readonly jobs: number;
  /** How long one may print nothing, in ms. */
  readonly limit: number;
}

/** Runs cells and tells how each went as soon as it has ended; the results come in the order of the cells. */
export async function runCells(cells: readonly Cell[], { jobs, limit }: RunOptions): Promise<CellResult[]> {
  const light = cells.filter(({ isLight = false }) => isLight);
  const busy = cells.filter((cell) => !light.includes(cell));
  const results: CellResult[] = [];
  const work = async (take: () => Cell | undefined) => {
    for (let cell = take(); cell; cell = take()) {
      const result = await runCell(cell, limit);
      results.push(result);
      console.log(progress(result));
      const text = failures(result);
      if (text !== "") console.log(`\n${text}`);
    }
  };
  const lanes = Array.from({ length: jobs }, () => work(() => busy.shift() ?? light.shift()));
  const waiting = Array.from({ length: LIGHT_JOBS }, () => work(() => light.shift()));
  await Promise.all([...lanes, ...waiting]);
  return results.sort((a, b) => cells.indexOf(a.cell) - cells.indexOf(b.cell));
}
