/**
 * Lets processes of three runtimes contend for a long time while one of them is killed every two seconds, and has a
 * process that knows nothing of the library judge whether there were ever two holders:
 *
 *     deno task soak [--minutes 10] [BACKEND...]
 *
 * Default: file and redis. Backends are soaked side by side, so that ten minutes are enough for all.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { BACKENDS, type BenchedBackend, isAvailable } from "../bench/backends.ts";
import { readArguments } from "./testing/arguments.ts";
import { Fleet, startJudge } from "./soak/fleet.ts";
import { complaints, formatOutcome, type Outcome } from "./soak/report.ts";

const DEFAULT = ["file", "redis"];
const PROCESSES = 8;
const KILL_PAUSE = 2_000;
const PROGRESS_PAUSE = 30_000;
const GRACE = 15_000;
/** How long a killed holder's lock lingers where only time ends it, in ms. */
const TTL = 3_000;
/** Samples of a survivor's heap over the whole time. */
const SAMPLES = 90;

const { values: options, positionals } = readArguments(import.meta.url, {
  minutes: { type: "string", default: "10" },
});

function chosenBackends(): BenchedBackend[] {
  const shared = BACKENDS.filter(({ isShared }) => isShared);
  const names = positionals.length > 0 ? positionals : DEFAULT;
  return names.map((name) => {
    const backend = shared.find((candidate) => candidate.name === name);
    if (backend) return backend;
    const known = shared.map((candidate) => candidate.name).join(", ");
    throw new TypeError(`Cannot soak "${name}": the backends that processes share are ${known}`);
  });
}

/** Kills and waits until the time is over. */
async function disturb(backend: string, fleet: Fleet, minutes: number): Promise<void> {
  const start = performance.now();
  let told = start;
  for (let kills = 1; kills * KILL_PAUSE <= minutes * 60_000; kills++) {
    await sleep(Math.max(start + kills * KILL_PAUSE - performance.now(), 0));
    await fleet.kill();
    if (performance.now() - told < PROGRESS_PAUSE) continue;
    told = performance.now();
    const { handoffs, violations } = await fleet.tally();
    const seconds = Math.round((told - start) / 1000);
    console.log(
      `${backend} ${seconds} s: ${handoffs} hand-overs, ${fleet.kills} kills, ${violations.length} violations`,
    );
  }
}

async function soak(backend: BenchedBackend, minutes: number): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), "coord-soak-"));
  const server = await backend.start();
  try {
    await using judge = await startJudge(join(folder, "log"));
    const settings = { url: server.url, locks: ["one", "two"], lanes: 2, ttl: TTL };
    const fleet = new Fleet(settings, judge, Math.max(minutes * 60_000 / SAMPLES, 500));
    fleet.start(PROCESSES);
    await disturb(backend.name, fleet, minutes);
    await fleet.stop(GRACE);
    const { kills, problems, troubles } = fleet;
    const heaps = fleet.survivors.map(({ id, heap }) => ({ id, samples: heap }));
    const outcome = {
      backend: backend.name,
      minutes,
      kills,
      tally: await fleet.tally(),
      heaps,
      troubles,
      problems,
    };
    if (outcome.tally.violations.length > 0) console.log(`The judge's log is in ${folder}`);
    else rmSync(folder, { recursive: true, force: true });
    return outcome;
  } finally {
    await server.stop();
  }
}

const minutes = Number(options.minutes);
if (!(minutes > 0)) {
  throw new RangeError(`Cannot soak for "${options.minutes}" minutes: want a number above 0`);
}
// Leaving ends the workers: their input closes.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1));
// Where servers cannot be fetched, those on PATH serve.
spawnSync("bash", ["tools/fetch_servers.sh"], {
  cwd: new URL("..", import.meta.url),
  stdio: ["ignore", 2, 2],
});
const backends = chosenBackends();
const runnable = backends.filter(isAvailable);
const outcomes = await Promise.all(runnable.map((backend) => soak(backend, minutes)));
for (const outcome of outcomes) console.log(`\n${formatOutcome(outcome)}`);
const notRun = backends.filter((backend) => !runnable.includes(backend));
for (const { name } of notRun) console.log(`\nNOT RUN ${name}: its server is missing`);
const failed = outcomes.filter((outcome) => complaints(outcome).length > 0).length + notRun.length;
process.exit(failed > 0 ? 1 : 0);
