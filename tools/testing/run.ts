import process from "node:process";
import { type Cell, isRunnable, printNotRun } from "./cells.ts";
import { count, ending, summary, table } from "./report.ts";
import { type CellResult, killRunners } from "./run_cell.ts";
import { runCells, type RunOptions } from "./run_cells.ts";

/** Ends what was started when the run itself is interrupted. */
export function endWithUs(): void {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      killRunners();
      process.exit(1);
    });
  }
}

/** Cells to run, and whether one that lacks its server is a failure. */
export interface Task extends RunOptions {
  readonly cells: readonly Cell[];
  readonly mustHaveServers: boolean;
  /** Prints more between the table and what must be known. */
  readonly details?: (results: readonly CellResult[]) => void;
}

/** Runs what can run, prints the table, then all that must be known, the counts last; sets the exit code. */
export async function run({ cells, mustHaveServers, details = () => {}, ...options }: Task): Promise<void> {
  const runnable = cells.filter(isRunnable);
  const results = await runCells(runnable, options);
  console.log(`\n${table(results)}`);
  details(results);
  const isIncomplete = printNotRun(cells.filter((cell) => !runnable.includes(cell)));
  const empty = results.filter(({ tests }) => tests.length === 0);
  for (const { cell } of empty) console.log(`NO TESTS in ${cell.name}`);
  for (const line of ending(results)) console.log(line);
  const counts = count(results);
  const isBad = counts.failed > 0 || counts.passed === 0 || empty.length > 0;
  if (isBad || (mustHaveServers && isIncomplete)) process.exitCode = 1;
  console.log(summary(counts));
}
