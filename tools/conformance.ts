/**
 * Runs the conformance suite on the backends that are named, on Deno, Bun and Node, and ends with one line that counts:
 *
 *     deno task conformance [--only PATTERN] [--deployments] [--times] [--jobs 2] [BACKEND...]
 *
 * A driver's name stands for its single server in every version that can be had, and without a name all drivers run so.
 * With `--deployments` it stands for everything that the driver runs on, with TLS or as several servers too, and a
 * table shows driver by deployment by version. `redis_8_tls` is one of these. What is one version of many in such a
 * deployment has the cases that are marked smoke; the table says which. `--only` picks cells by name, such as "redis on
 * node"; `--times` prints how long each case took. Cases that were late are played once more at the end.
 */
import process from "node:process";
import { CASES } from "../tests/conformance/cases.ts";
import { type Backend, SERVED, SINGLE } from "../tests/conformance/deployments.ts";
import { fixtureOf } from "../tests/conformance/fixture_of.ts";
import { judge } from "../tests/conformance/verdict.ts";
import { readArguments } from "./testing/arguments.ts";
import { conformanceBackends, conformanceCells } from "./testing/cells.ts";
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

function chosenBackends(): Backend[] {
  const known = conformanceBackends();
  const drivers = new Set(known.map(({ driver }) => driver));
  const unknown = positionals.filter((name) =>
    !drivers.has(name) && !known.some((each) => each.name === name)
  );
  if (unknown.length > 0) {
    const names = known.map(({ name }) => name).join(", ");
    console.error(`Cannot run ${unknown.join(", ")}: there are fixtures for ${names}`);
    process.exit(2);
  }
  const named = positionals.length > 0 ? positionals : [...drivers];
  return known.filter(({ name, driver, deployment }) =>
    named.includes(name) || (named.includes(driver) && (options.deployments || deployment === SINGLE))
  );
}

/** Why cases do not run on a backend: by reason, the names of the cases. */
async function skips({ name, isWhole }: Backend): Promise<Map<string, string[]>> {
  const fixture = await fixtureOf(name);
  const reasons = new Map<string, string[]>();
  for (const each of CASES.filter(({ smoke = false }) => smoke || isWhole)) {
    const verdict = judge(each, fixture);
    if (verdict.kind !== "skip") continue;
    reasons.set(verdict.reason, [...reasons.get(verdict.reason) ?? [], each.name]);
  }
  return reasons;
}

async function printSkips(backend: Backend): Promise<void> {
  for (const [reason, names] of await skips(backend)) {
    console.log(`SKIPPED on ${backend.name}: ${reason}: ${names.length}`);
    for (const name of names) console.log(`    ${name}`);
  }
}

/** What there cannot be, and why. */
function emptyCells(): string[] {
  const drivers = new Set(backends.map(({ driver }) => driver));
  return Object.entries(SERVED).filter(([driver]) => drivers.has(driver)).flatMap((
    [driver, { empty = {} }],
  ) => Object.entries(empty).map(([what, why]) => `EMPTY ${driver} ${what}: ${why}`));
}

function printDeployments(results: readonly CellResult[]): void {
  console.log(`\n${deploymentTable(backends, results)}\n\n${emptyCells().join("\n")}`);
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
