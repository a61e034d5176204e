/**
 * Runs the tests on Deno, Bun and Node, and ends with one line that counts them:
 *
 *     deno task test [--all] [--jobs 2] [--limit 300] [--only PATTERN] [FILE...]
 *
 * A cell is one run of one runtime's own test runner. Most backends run in full on Deno only, deployments with what
 * processes do together, other versions not at all; with `--all` every cell is there, and whole. One that prints nothing
 * for `--limit` seconds is killed. `--only` picks cells by name, files pick tests within them.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { type Cell, isRunnable, printNotRun, testCells } from "./testing/cells.ts";
import { fetchServers } from "./testing/fetch.ts";
import { count, failedTests, summary, table } from "./testing/report.ts";
import { killRunners } from "./testing/run_cell.ts";
import { runCells } from "./testing/run_cells.ts";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    all: { type: "boolean", default: false },
    jobs: { type: "string", default: "2" },
    limit: { type: "string", default: "300" },
    only: { type: "string", default: "" },
  },
});

function chosenCells(): Cell[] {
  const files = new Set(positionals.map((file) => file.replace(/^\.\//, "")));
  return testCells(options)
    .filter((cell) => new RegExp(options.only).test(cell.name))
    .map((cell) => files.size === 0 ? cell : { ...cell, files: cell.files.filter((file) => files.has(file)) })
    .filter((cell) => cell.files.length > 0);
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    killRunners();
    process.exit(1);
  });
}

process.chdir(new URL("..", import.meta.url).pathname);
const mustHaveServers = fetchServers();
const cells = chosenCells();
const runnable = cells.filter(isRunnable);
const results = await runCells(runnable, { jobs: Number(options.jobs), limit: Number(options.limit) * 1000 });
const notRun = cells.filter((cell) => !runnable.includes(cell));

console.log(`\n${table(results)}`);
for (const line of failedTests(results)) console.log(line);
const isIncomplete = printNotRun(notRun);
const empty = results.filter(({ tests }) => tests.length === 0);
for (const { cell } of empty) console.log(`NO TESTS in ${cell.name}`);
const counts = count(results);
if (counts.failed > 0 || cells.length === 0 || empty.length > 0 || (mustHaveServers && isIncomplete)) {
  process.exitCode = 1;
}
console.log(summary(counts));
