/**
 * Measures latencies beside the floor of each backend, in one run:
 *
 *     deno task bench [--quick] [--json] [BACKEND...]
 *
 * A bar that does not hold makes it fail, but for a quick run, which is too short to tell.
 */
import { spawnSync } from "node:child_process";
import process from "node:process";
import { BACKENDS, type BenchedBackend, isAvailable } from "./backends.ts";
import { measureHandoff } from "./handoff.ts";
import { gatherFacts } from "./machine.ts";
import { formatReport, judge, type Row } from "./report.ts";
import { readArguments } from "../tools/testing/arguments.ts";
import { measureUncontended } from "./uncontended.ts";

const AMOUNTS = {
  full: { uncontended: { blocks: 40, perBlock: 250 }, handoff: { blocks: 20, perBlock: 50 } },
  quick: { uncontended: { blocks: 8, perBlock: 100 }, handoff: { blocks: 4, perBlock: 25 } },
};

const { values: options, positionals } = readArguments(import.meta.url, {
  quick: { type: "boolean", default: false },
  json: { type: "boolean", default: false },
});

function chosenBackends(): readonly BenchedBackend[] {
  const names = BACKENDS.map(({ name }) => name);
  for (const name of positionals) {
    if (!names.includes(name)) {
      throw new TypeError(`Cannot measure "${name}": the backends are ${names.join(", ")}`);
    }
  }
  return BACKENDS.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
}

async function measureBackend(backend: BenchedBackend): Promise<Row[]> {
  const amount = options.quick ? AMOUNTS.quick : AMOUNTS.full;
  const server = await backend.start();
  try {
    const rows = [
      judge(backend, "acquire + release", await measureUncontended(backend, server.url, amount.uncontended)),
    ];
    if (!backend.isShared) return rows;
    return [...rows, judge(backend, "hand-over", await measureHandoff(backend, server.url, amount.handoff))];
  } finally {
    await server.stop();
  }
}

// Where servers cannot be fetched, those on PATH are measured.
spawnSync("bash", ["tools/fetch_servers.sh"], {
  cwd: new URL("..", import.meta.url),
  stdio: ["ignore", 2, 2],
});
const chosen = chosenBackends();
const backends = chosen.filter(isAvailable);
const facts = gatherFacts(backends); // Before the bench adds to the load.
const rows: Row[] = [];
for (const backend of backends) rows.push(...await measureBackend(backend));
rows.sort((a, b) => a.what.localeCompare(b.what)); // Stable: backends stay in order.

const notMeasured = chosen.filter((backend) => !backends.includes(backend)).map(({ name }) => name);
if (options.json) console.log(JSON.stringify({ ...facts, notMeasured, rows }, null, 2));
else console.log(formatReport(facts, rows));
for (const name of notMeasured) console.error(`NOT MEASURED ${name}: its server is missing`);
process.exit(rows.some(({ passed }) => passed === false) && !options.quick ? 1 : 0);
