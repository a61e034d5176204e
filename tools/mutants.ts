/**
 * Breaks the code on purpose, one fault at a time, and shows which test notices:
 *
 *     deno task mutants [--on BACKEND] [--jobs 2] [--limit 240] [NAME...]
 *
 * A mutant is a patch in tests/mutants. Above the diff it says what it does, and where it must be noticed: `run:` with
 * a backend of the conformance suite, or a file of unit tests, and a pattern of test names, which run first. Only if
 * they do not notice, everything else of that backend, or all unit tests of core, run too.
 *
 * `--on etcd_cluster` plays those of them that a backend has to notice on that one instead.
 */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { readArguments } from "./testing/arguments.ts";
import { fetchServers } from "./testing/fetch.ts";
import { type Outcome, play, type Run, Sandbox } from "./testing/sandbox.ts";

interface Mutant {
  readonly name: string;
  readonly what: string;
  readonly patch: string;
  /** A backend, or a file of unit tests. */
  readonly where: string;
  readonly pattern: string;
}

const ROOT = fileURLToPath(new URL("..", import.meta.url));
/** The unit tests that run for a mutant which those of its own do not notice. */
const CORE = "tests/core";
const FOLDER = `${ROOT}tests/mutants`;

const { values: options, positionals } = readArguments(import.meta.url, {
  on: { type: "string", default: "" },
  jobs: { type: "string", default: "2" },
  limit: { type: "string", default: "240" },
});
/** For one run of tests, in ms. */
const limit = Number(options.limit) * 1000;

function readMutant(file: string): Mutant {
  const patch = `${FOLDER}/${file}`;
  const text = readFileSync(patch, "utf8");
  const [, what] = /^# (.+)$/m.exec(text) ?? [];
  const [, where, pattern] = /^# run: (\S+) (.+)$/m.exec(text) ?? [];
  if (!what || !where || !pattern) {
    throw new Error(`Cannot read ${file}: want "# what it does" and "# run: where pattern"`);
  }
  const isMoved = options.on !== "" && !isUnit(where);
  return { name: file.replace(/\.patch$/, ""), what, patch, where: isMoved ? options.on : where, pattern };
}

function isUnit(where: string): boolean {
  return where.endsWith("_test.ts");
}

/** Cases of the conformance suite. */
function suite(backend: string, cases: string): Run {
  const env = { COORD_BACKEND: backend, COORD_CASES: cases };
  return { files: ["tests/conformance/conformance_test.ts"], env, filter: undefined };
}

/** What runs first, or all that may notice. */
function runOf({ where, pattern }: Mutant, all: boolean): Run {
  if (!isUnit(where)) return suite(where, all ? "" : pattern);
  return { files: all ? [CORE] : [where], env: {}, filter: all ? undefined : pattern };
}

function applied(sandbox: Sandbox, { patch }: Mutant): boolean {
  return spawnSync("git", ["apply", "--whitespace=nowarn", "-C1", patch], {
    cwd: sandbox.dir,
    stdio: "inherit",
  })
    .status === 0;
}

/** Whether all that may notice passes without any mutant: a test that fails anyhow, or cannot run, notices nothing. */
async function isSound(): Promise<boolean> {
  const places = [...new Set(mutants.map(({ where }) => where))];
  const units = new Set([CORE, ...places.filter(isUnit)]);
  const runs = new Map(
    places.filter((where) => !isUnit(where)).map((backend) => [backend, suite(backend, "")]),
  );
  // Each for itself: the limit is that of one run.
  if (places.some(isUnit)) {
    for (const file of units) runs.set(file, { files: [file], env: {}, filter: undefined });
  }
  const waiting = [...runs];
  let sound = runs.size > 0;
  await atOnce(async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) sound = await passes(...next) && sound;
  });
  return sound;
}

/** Whether tests pass, at the second try at the latest: what is late on a machine that is slow is not unsound. */
async function passes(name: string, run: Run): Promise<boolean> {
  using sandbox = new Sandbox(ROOT);
  let complaints: string[] = [];
  for (let i = 0; i < 2; i++) {
    const { failed, ran, late } = await play(sandbox.dir, run, limit);
    complaints = failed.map((test) => `Fails on ${name} without any mutant: ${test}`);
    if (late || ran === 0) {
      complaints.push(`Cannot run ${name} without any mutant: ${late ? "too slow" : "no test"}`);
    }
    if (complaints.length === 0) return true;
  }
  for (const complaint of complaints) console.log(complaint);
  return false;
}

/** What noticed the mutant; undefined: nothing did. */
async function noticed(mutant: Mutant): Promise<string | undefined> {
  using sandbox = new Sandbox(ROOT);
  if (!applied(sandbox, mutant)) return undefined;
  for (const all of [false, true]) {
    const outcome = await play(sandbox.dir, runOf(mutant, all), limit);
    if (!all && outcome.ran === 0) {
      console.log(`No test of ${mutant.where} ran for "${mutant.pattern}", of ${mutant.name}`);
    }
    const killer = killerOf(outcome);
    if (killer) return killer;
  }
  return undefined;
}

function killerOf({ failed, ran, late }: Outcome): string | undefined {
  const [killer, ...more] = failed;
  if (killer) return more.length > 0 ? `${killer} (and ${more.length} more)` : killer;
  // Without any result the mutant is no program: that tells nothing of the tests.
  return late && ran > 0 ? "the time limit" : undefined;
}

/** Does it as many times at once as there may be. */
async function atOnce(work: () => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: Number(options.jobs) }, work));
}

process.chdir(ROOT);
fetchServers("all");
const names = new Set(positionals);
const mutants = readdirSync(FOLDER).filter((file) => file.endsWith(".patch")).sort().map(readMutant)
  .filter(({ name }) => names.size === 0 || names.has(name))
  .filter(({ where }) => options.on === "" || where === options.on);
if (!await isSound()) process.exit(1);
const waiting = [...mutants];
const survivors: string[] = [];

async function work(): Promise<void> {
  for (let mutant = waiting.shift(); mutant; mutant = waiting.shift()) {
    const start = performance.now();
    const killer = await noticed(mutant);
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    if (!killer) survivors.push(mutant.name);
    console.log(
      `${killer ? "killed  " : "SURVIVED"} ${mutant.name} on ${mutant.where} in ${seconds} s: ${mutant.what}`,
    );
    if (killer) console.log(`         by ${killer}`);
  }
}

await atOnce(work);
if (survivors.length > 0) process.exitCode = 1;
if (survivors.length > 0) console.log(`Survivors: ${survivors.join(", ")}`);
console.log(
  `${mutants.length} mutants, ${mutants.length - survivors.length} killed, ${survivors.length} survived`,
);
