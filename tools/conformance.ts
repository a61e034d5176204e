/**
 * Runs the conformance suite on the backends that are named, on Deno, Bun and Node, and ends with one line that counts:
 *
 *     deno task conformance [--only PATTERN] [--deployments] [--times] [--jobs 2] [BACKEND...]
 *
 * Without a name it runs all; with `--deployments`, those that are a driver in another way of running its server: with
 * TLS, in another version, as several. `--only` picks cells by name, such as "redis on node"; `--times` prints how long
 * each case took. Cases that were late are played once more at the end.
 */
import process from "node:process";
import { CASES } from "../tests/conformance/cases.ts";
import type { Fixture } from "../tests/conformance/suite.ts";
import { judge } from "../tests/conformance/verdict.ts";
import { readArguments } from "./testing/arguments.ts";
import { conformanceBackends, conformanceCells, isDeployment } from "./testing/cells.ts";
import { fetchServers } from "./testing/fetch.ts";
import { deploymentTable } from "./testing/report.ts";
import type { CellResult } from "./testing/run_cell.ts";
import { endWithUs, run } from "./testing/run.ts";

const { values: options, positionals } = readArguments(import.meta.url, {
  only: { type: "string", default: "" },
  deployments: { type: "boolean", default: false },
  times: { type: "boolean", default: false },
  jobs: { type: "string", default: "2" },
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

function printDeployments(results: readonly CellResult[]): void {
  console.log(`\n${deploymentTable(results)}\n\n${NO_DEPLOYMENTS.join("\n")}`);
}

endWithUs();
process.chdir(new URL("..", import.meta.url).pathname);
const mustHaveServers = fetchServers("all");
const backends = chosenBackends();
for (const backend of backends) await printSkips(backend);
const cells = backends.flatMap(conformanceCells)
  .filter(({ name }) => new RegExp(options.only).test(name))
  .map((cell) => options.times ? { ...cell, env: { ...cell.env, COORD_TIMES: "1" } } : cell);
await run({
  cells,
  mustHaveServers,
  jobs: Number(options.jobs),
  details: options.deployments ? printDeployments : () => {},
});
