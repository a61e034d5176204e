/**
 * Runs the tests against real servers, and ends with one line that counts them:
 *
 *     deno task test [--all [--fresh]] [--only PATTERN] [--jobs 2] [--limit SECONDS] [--times] [FILE...]
 *
 * A cell is one run of one runtime's own test runner. Without `--all` these are the gate, what every commit must pass:
 * unit tests and the conformance suite of every backend on Deno, and a few tests of each kind on Bun and Node. With it
 * they are the whole matrix: every backend, version and deployment on every runtime, what each driver has for itself,
 * and faults. That takes more than an hour, so a cell that has passed on this very tree is not run again, but with
 * `--fresh`.
 *
 * `--only` picks cells by name, files pick tests within them. A cell that prints nothing for `--limit` seconds is ended.
 * `--times` prints how long each case of the suite took. Tests that were late are played once more at the end.
 */
import process from "node:process";
import { type Cell, NOT_IN_THE_GATE, testCells } from "./testing/cells.ts";
import { readArguments } from "./testing/arguments.ts";
import { fetchServers } from "./testing/fetch.ts";
import { Passed } from "./testing/passed.ts";
import { endWithUs, run } from "./testing/run.ts";

const { values: options, positionals } = readArguments(import.meta.url, {
  all: { type: "boolean", default: false },
  fresh: { type: "boolean", default: false },
  only: { type: "string", default: "" },
  jobs: { type: "string", default: "2" },
  limit: { type: "string" },
  times: { type: "boolean", default: false },
});

function chosenCells(): Cell[] {
  const files = new Set(positionals.map((file) => file.replace(/^\.\//, "")));
  // A file may belong to a cell that the gate leaves out.
  return testCells({ all: options.all || files.size > 0 })
    .filter((cell) => new RegExp(options.only).test(cell.name))
    .map((cell) => files.size === 0 ? cell : { ...cell, files: cell.files.filter((file) => files.has(file)) })
    .map((cell) => options.limit === undefined ? cell : { ...cell, limit: Number(options.limit) * 1000 })
    .map((cell) => options.times ? { ...cell, env: { ...cell.env, COORD_TIMES: "1" } } : cell)
    .filter((cell) => cell.files.length > 0);
}

function printNotInTheGate(): void {
  for (const [name, why] of Object.entries(NOT_IN_THE_GATE)) console.log(`${name}: not in the gate: ${why}`);
}

endWithUs();
process.chdir(new URL("..", import.meta.url).pathname);
const mustHaveServers = fetchServers(options.all ? "all" : "gate");
// The gate is run whole, and files by hand.
const passed = options.all ? new Passed(".tmp/passed", { fresh: options.fresh }) : undefined;
await run({
  cells: chosenCells(),
  mustHaveServers,
  jobs: Number(options.jobs),
  passed,
  details: options.all ? () => {} : printNotInTheGate,
});
