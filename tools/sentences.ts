/**
 * Holds docs/api.md and the tests together: every sentence that promises something carries an id, and a test names
 * it. A unit test names sentences at the end of its title, `"… [L7]"` or `"… [L7, L8]"`; a conformance case in its
 * list of sentences.
 *
 *     deno task sentences [--all]      --all: print every sentence with the number of its tests
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { readArguments } from "./testing/arguments.ts";
import { readPage } from "./testing/page.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const TITLE = /\b(?:test|it)\(\s*("(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`)/g;
const IDS = /\[([A-Z]+\d+(?:, [A-Z]+\d+)*)\]["`]$/;

/** Sentences that no test can hold, or that none holds yet, and why. */
const WITHOUT_TEST: Readonly<Record<string, string>> = {
  X3: "one machine runs the tests; nothing in a driver but file and ipc can tell hosts apart",
  X5: "no driver claims it yet",
  X6: "no driver claims it yet",
  X7: "no driver claims it yet",
  X8: "no driver claims it yet",
  X9: "no driver claims it yet",
  X10: "no driver claims it yet",
};

/** One place where a test says which sentences it holds. */
interface Claim {
  readonly id: string;
  readonly test: string;
}

function unitClaims(): Claim[] {
  return [...testFiles("tests"), ...testFiles("examples")].flatMap((file) => {
    const titles = [...readFileSync(ROOT + file, "utf8").matchAll(TITLE)].map((match) => match[1] ?? "");
    return titles.flatMap((title) =>
      (IDS.exec(title)?.[1]?.split(", ") ?? []).map((id) => ({ id, test: `${file}: ${title.slice(1, -1)}` }))
    );
  });
}

function testFiles(folder: string): string[] {
  if (!existsSync(ROOT + folder)) return [];
  return readdirSync(ROOT + folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith("_test.ts"))
    .map((file) => `${folder}/${file}`);
}

async function conformanceClaims(): Promise<Claim[]> {
  const { CASES } = await import("../tests/conformance/cases.ts");
  return CASES.flatMap(({ name, holds }) => holds.map((id) => ({ id, test: `conformance: ${name}` })));
}

const { values: options } = readArguments(import.meta.url, { all: { type: "boolean", default: false } });
const page = readPage(readFileSync(`${ROOT}docs/api.md`, "utf8"));
const claims = [...await conformanceClaims(), ...unitClaims()];
const problems: string[] = [];
const ids = new Set<string>();

for (const { line, text } of page.unmarked) {
  problems.push(`docs/api.md:${line} has no id at its end: ${text}`);
}
for (const { id, line } of page.sentences) {
  if (ids.has(id)) problems.push(`docs/api.md:${line} uses ${id} a second time`);
  ids.add(id);
}
for (const { id, test } of claims) {
  if (!ids.has(id)) problems.push(`${id} is not on the page, but is named by ${test}`);
}
for (const id of Object.keys(WITHOUT_TEST)) {
  if (!ids.has(id)) problems.push(`${id} is not on the page, but is excused`);
  if (claims.some((claim) => claim.id === id)) problems.push(`${id} is excused, but has a test`);
}
for (const { id, text } of page.sentences) {
  const own = claims.filter((claim) => claim.id === id);
  if (options.all) console.log(`${String(own.length).padStart(3)}  ${id}  ${text}`);
  if (own.length > 0) continue;
  const excuse = WITHOUT_TEST[id];
  if (excuse === undefined) problems.push(`${id} has no test: ${text}`);
  else console.log(`${id} has no test, since ${excuse}: ${text}`);
}
for (const problem of problems) console.log(`PROBLEM ${problem}`);
if (problems.length > 0) process.exitCode = 1;
const excused = Object.keys(WITHOUT_TEST).length;
console.log(
  `${ids.size} sentences, ${new Set(claims.map(({ id }) => id)).size} of them with tests, ` +
    `${excused} without for a reason, ${problems.length} problems`,
);
