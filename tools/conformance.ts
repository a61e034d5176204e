/**
 * Runs the conformance suite on the backends that are named, on Deno, Bun and Node, and ends with one line that counts:
 *
 *     deno task conformance [--jobs 2] [--limit 300] [--only PATTERN] [--deployments] [BACKEND...]
 *
 * Without a name it runs all; with `--deployments`, those that are a driver in another way of running its server: with
 * TLS, in another version, as several. `--only` picks cells by name, such as "redis on node".
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { CASES } from "../tests/conformance/cases.ts";
import type { Fixture } from "../tests/conformance/suite.ts";
import { judge } from "../tests/conformance/verdict.ts";
import {
  type Cell,
  conformanceBackends,
  conformanceCells,
  isDeployment,
  isRunnable,
  printNotRun,
} from "./testing/cells.ts";
import { fetchServers } from "./testing/fetch.ts";
import { count, deploymentTable, failedTests, summary, table } from "./testing/report.ts";
import { type CellResult, killRunners } from "./testing/run_cell.ts";
import { runCells } from "./testing/run_cells.ts";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    jobs: { type: "string", default: "2" },
    limit: { type: "string", default: "300" },
    only: { type: "string", default: "" },
    deployments: { type: "boolean", default: false },
  },
});

/** What there cannot be, and why. */
const NO_DEPLOYMENTS = [
  "EMPTY zookeeper with SASL: its client has no such log-in; users are digests of user and password",
  "EMPTY consul with namespaces: only its enterprise edition has them",
];

function chosenBackends(): string[] {
  const known = conformanceBackends();
  const unknown = positionals.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    console.error(`Cannot run ${unknown.join(", ")}: there are fixtures for ${known.join(", ")}`);
    process.exit(2);
  }
  const named = positionals.length > 0 ? positionals : known;
  return options.deployments ? named.filter(isDeployment) : named;
}

/** Why cases do not run on a backend: by reason, the names of the cases. */
async function skips(backend: string): Promise<Map<string, string[]>> {
  const { fixture }: { fixture: Fixture } = await import(`../tests/conformance/fixtures/${backend}.ts`);
  const reasons = new Map<string, string[]>();
  for (const each of CASES) {
    const verdict = judge(each, fixture);
    if (verdict.kind !== "skip") continue;
    reasons.set(verdict.reason, [...reasons.get(verdict.reason) ?? [], each.name]);
  }
  return reasons;
}

async function printSkips(backend: string): Promise<void> {
  for (const [reason, names] of await skips(backend)) {
    console.log(`SKIPPED ${reason}: ${names.length}`);
    for (const name of names) console.log(`    ${name}`);
  }
}

/** Cases that were played twice, because the machine stood still. */
function printRepeats({ cell, output }: CellResult): void {
  for (const [line] of output.matchAll(/^AGAIN .*$/gm)) console.log(`${line} (${cell.name})`);
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    killRunners();
    process.exit(1);
  });
}

process.chdir(new URL("..", import.meta.url).pathname);
const mustHaveServers = fetchServers();
const backends = chosenBackends();
const cells: Cell[] = backends.flatMap(conformanceCells).filter(({ name }) =>
  new RegExp(options.only).test(name)
);
const runnable = cells.filter(isRunnable);
const results: CellResult[] = await runCells(runnable, {
  jobs: Number(options.jobs),
  limit: Number(options.limit) * 1000,
});
const notRun = cells.filter((cell) => !runnable.includes(cell));

console.log();
for (const backend of backends) await printSkips(backend);
results.forEach(printRepeats);
console.log(`\n${table(results)}`);
if (options.deployments) console.log(`\n${deploymentTable(results)}\n\n${NO_DEPLOYMENTS.join("\n")}`);
for (const line of failedTests(results)) console.log(line);
const isIncomplete = printNotRun(notRun);
const counts = count(results);
if (counts.failed > 0 || counts.passed === 0 || (mustHaveServers && isIncomplete)) process.exitCode = 1;
console.log(summary(counts));
