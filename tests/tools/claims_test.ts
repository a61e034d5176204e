import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { conformanceBackends } from "../../tools/testing/cells.ts";
import { readPage } from "../../tools/testing/page.ts";
import { CASES } from "../conformance/cases.ts";
import { fixtureOf } from "../conformance/fixture_of.ts";
import { judge } from "../conformance/verdict.ts";

/** One machine runs the tests. */
const BEYOND_TESTS = ["DISTRIBUTED_ACROSS_HOSTS"];

const { sentences } = readPage(readFileSync(new URL("../../docs/api.md", import.meta.url), "utf8"));

/** The ids of the rows of docs/api.md that say what a characteristic means. */
function idsOf(characteristic: string): string[] {
  return sentences.filter(({ id, text }) => id.startsWith("X") && text.startsWith("| `"))
    .filter(({ text }) => text.split("|")[1]?.includes(`\`${characteristic}\``))
    .map(({ id }) => id);
}

for (const { name } of conformanceBackends()) {
  const fixture = await fixtureOf(name);

  test(`${name} claims no characteristic without a case that runs on it [X16]`, () => {
    const played = CASES.filter((each) => judge(each, fixture).kind === "run");
    const unproved = [...fixture.factory().characteristics].filter((characteristic) =>
      !BEYOND_TESTS.includes(characteristic) &&
      !played.some(({ holds }) => idsOf(characteristic).some((id) => holds.includes(id)))
    );
    assert.deepEqual(unproved, []);
  });
}
