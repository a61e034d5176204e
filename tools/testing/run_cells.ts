import type { Cell } from "./cells.ts";
import { failures, progress } from "./report.ts";
import { type CellResult, runCell } from "./run_cell.ts";

/** How to run cells. */
export interface RunOptions {
  /** How many run side by side. */
  readonly jobs: number;
  /** The longest that one may take, in ms. */
  readonly limit: number;
}

/** Runs cells and tells how each went as soon as it has ended; the results come in the order of the cells. */
export async function runCells(cells: readonly Cell[], { jobs, limit }: RunOptions): Promise<CellResult[]> {
  const waiting = [...cells];
  const results: CellResult[] = [];
  const work = async () => {
    for (let cell = waiting.shift(); cell; cell = waiting.shift()) {
      const result = await runCell(cell, limit);
      results.push(result);
      console.log(progress(result));
      const text = failures(result);
      if (text !== "") console.log(`\n${text}`);
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  return results.sort((a, b) => cells.indexOf(a.cell) - cells.indexOf(b.cell));
}
