/**
 * Breaks the code on purpose, one fault at a time, and shows which test notices:
 *
 *     deno task mutants [--jobs 2] [--limit 240] [NAME...]
 *
 * A mutant is a patch in tests/mutants. Above the diff it says what it does, and where it must be noticed: `run:` with
 * a backend of the conformance suite, or a file of unit tests, and a pattern of test names, which run first. Only if
 * they do not notice, everything else of that backend, or all unit tests of core, run too.
 */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
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
const FOLDER = `${ROOT}tests/mutants`;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { jobs: { type: "string", default: "2" }, limit: { type: "string", default: "240" } },
});
const limit = Number(options.limit) * 1000;

function readMutant(file: string): Mutant {
  const patch = `${FOLDER}/${file}`;
  const text = readFileSync(patch, "utf8");
  const [, what] = /^# (.+)$/m.exec(text) ?? [];
  const [, where, pattern] = /^# run: (\S+) (.+)$/m.exec(text) ?? [];
  if (!what || !where || !pattern) {
    throw new Error(`Cannot read ${file}: want "# what it does" and "# run: where pattern"`);
  }
  return { name: file.replace(/\.patch$/, ""), what, patch, where, pattern };
}

/** What runs first, or all that may notice. */
function runOf({ where, pattern }: Pick<Mutant, "where" | "pattern">, all: boolean): Run {
  const isUnit = where.endsWith("_test.ts");
  if (!isUnit) {
    const env = { COORD_BACKEND: where, COORD_CASES: all ? "" : pattern };
    return { files: ["tests/conformance/conformance_test.ts"], env, filter: undefined };
  }
  return all
    ? { files: ["tests/core"], env: {}, filter: undefined }
    : { files: [where], env: {}, filter: pattern };
}

function applied(sandbox: Sandbox, { patch }: Mutant): boolean {
  return spawnSync("git", ["apply", "--whitespace=nowarn", "-C1", patch], {
    cwd: sandbox.dir,
    stdio: "inherit",
  })
    .status === 0;
}

/** Tests that fail without any mutant notice nothing. */
async function healthy(mutants: readonly Mutant[]): Promise<Set<string>> {
  using sandbox = new Sandbox(ROOT);
  const failed = new Set<string>();
  for (const where of new Set(mutants.map((mutant) => mutant.where))) {
    const pattern = mutants.filter((mutant) => mutant.where === where).map((mutant) => mutant.pattern).join(
      "|",
    );
    const outcome = await play(sandbox.dir, runOf({ where, pattern }, false), limit);
    if (outcome.ran === 0) console.log(`${where}: no test has a name like ${pattern}`);
    for (const name of outcome.failed) failed.add(name);
  }
  for (const name of failed) console.log(`Fails without any mutant: ${name}`);
  return failed;
}

/** What noticed the mutant; undefined: nothing did. */
async function noticed(mutant: Mutant, ill: ReadonlySet<string>): Promise<string | undefined> {
  using sandbox = new Sandbox(ROOT);
  if (!applied(sandbox, mutant)) return undefined;
  for (const all of [false, true]) {
    const killer = killerOf(await play(sandbox.dir, runOf(mutant, all), limit), ill);
    if (killer) return killer;
  }
  return undefined;
}

function killerOf({ failed, ran, late }: Outcome, ill: ReadonlySet<string>): string | undefined {
  const [killer, ...more] = failed.filter((name) => !ill.has(name));
  if (killer) return more.length > 0 ? `${killer} (and ${more.length} more)` : killer;
  // Without any result the mutant is no program: that tells nothing of the tests.
  return late && ran > 0 ? "the time limit" : undefined;
}

const names = new Set(positionals);
const mutants = readdirSync(FOLDER).filter((file) => file.endsWith(".patch")).sort().map(readMutant)
  .filter(({ name }) => names.size === 0 || names.has(name));
const ill = await healthy(mutants);
const waiting = [...mutants];
const survivors: string[] = [];

async function work(): Promise<void> {
  for (let mutant = waiting.shift(); mutant; mutant = waiting.shift()) {
    const start = performance.now();
    const killer = await noticed(mutant, ill);
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    if (!killer) survivors.push(mutant.name);
    console.log(
      `${killer ? "killed  " : "SURVIVED"} ${mutant.name} on ${mutant.where} in ${seconds} s: ${mutant.what}`,
    );
    if (killer) console.log(`         by ${killer}`);
  }
}

await Promise.all(Array.from({ length: Number(options.jobs) }, work));
if (survivors.length > 0 || ill.size > 0 || mutants.length === 0) process.exitCode = 1;
if (survivors.length > 0) console.log(`Survivors: ${survivors.join(", ")}`);
console.log(
  `${mutants.length} mutants, ${mutants.length - survivors.length} killed, ${survivors.length} survived`,
);
