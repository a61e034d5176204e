/**
 * Runs every test on Deno, Bun and Node, and ends with one line that counts them:
 *
 *     deno task test [--jobs 2] [--limit 600] [--only PATTERN] [FILE...]
 *
 * A cell is one run of one runtime's own test runner. `--only` picks cells by name, files pick tests within them.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { findBinary } from "../tests/servers/binaries.ts";
import { allCells, type Cell } from "./testing/cells.ts";
import { fetchServers } from "./testing/fetch.ts";
import { count, summary, table } from "./testing/report.ts";
import { killRunners } from "./testing/run_cell.ts";
import { runCells } from "./testing/run_cells.ts";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    jobs: { type: "string", default: "2" },
    limit: { type: "string", default: "600" },
    only: { type: "string", default: "" },
  },
});

function chosenCells(): Cell[] {
  const files = new Set(positionals.map((file) => file.replace(/^\.\//, "")));
  return allCells()
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
const runnable = cells.filter(({ needs }) => needs === undefined || findBinary(needs));
const results = await runCells(runnable, { jobs: Number(options.jobs), limit: Number(options.limit) * 1000 });
const notRun = cells.filter((cell) => !runnable.includes(cell));

console.log(`\n${table(results)}`);
for (const { name, needs } of notRun) console.log(`NOT RUN ${name}: there is no ${needs}`);
const empty = results.filter(({ tests }) => tests.length === 0);
for (const { cell } of empty) console.log(`NO TESTS in ${cell.name}`);
const counts = count(results);
if (counts.failed > 0 || cells.length === 0 || empty.length > 0 || (mustHaveServers && notRun.length > 0)) {
  process.exitCode = 1;
}
console.log(summary(counts));
