// Every case on the backend that COORD_BACKEND names; COORD_CASES picks cases by a pattern, COORD_SMOKE those marked so.
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { CASES } from "./cases.ts";
import { fixtureOf } from "./fixture_of.ts";
import { Pool } from "./pool.ts";
import { listenForStrays } from "./strays.ts";
import { judge } from "./verdict.ts";

const backend = process.env.COORD_BACKEND ?? "zake";
const fixture = await fixtureOf(backend);
const pattern = new RegExp(process.env.COORD_CASES ?? "");
const isSmoke = process.env.COORD_SMOKE !== undefined;
const chosen = CASES.filter(({ name, smoke = false }) => pattern.test(name) && (smoke || !isSmoke));
const verdicts = chosen.map((each) => ({ each, verdict: judge(each, fixture) }));
const pool = new Pool(
  fixture,
  verdicts.filter(({ verdict }) => verdict.kind === "run").map(({ each }) => each),
);

const strays = listenForStrays();

/** In ms; a test may wait for others that share the machine with it. */
const LIMIT = 300_000;

for (const { each, verdict } of verdicts) {
  if (verdict.kind === "skip") console.log(`SKIPPED ${each.name}: ${verdict.reason}`);
  const options = verdict.kind === "skip" ? { skip: verdict.reason } : { timeout: LIMIT };
  test(each.name, options, async () => {
    if (verdict.kind === "fail") throw new Error(verdict.reason);
    await pool.outcome(each);
  });
}

test("no rejection goes unheard", { timeout: LIMIT }, async () => {
  await pool.end();
  // A case that fails in the middle leaves promises behind that nobody waits for.
  if (!pool.hasFailures) assert.deepEqual(strays, []);
});
