import assert from "node:assert/strict";
import { test } from "node:test";
import { checkDuration, checkMode, checkName } from "../../core/names.ts";

const REFUSED: Readonly<Record<string, unknown>> = {
  "the empty string": "",
  "NUL": "a\0b",
  "the first half of a surrogate pair": "a\ud83d",
  "the second half of a surrogate pair": "\ude00a",
  "1,025 bytes": "x".repeat(1025),
  "1,025 bytes in fewer characters": "é".repeat(512) + "x",
  "1,026 bytes in emoji": "😀".repeat(256) + "é",
  "no string": 7,
  "nothing": undefined,
  "an object that looks like a string": Object("name"),
};

const TAKEN = [
  "a",
  " ",
  ".",
  "..",
  "../x",
  "a/b",
  "%",
  "%2F",
  "{tag}",
  "\n",
  "😀",
  "x".repeat(1024),
  "é".repeat(512),
  "😀".repeat(256),
];

for (const [what, name] of Object.entries(REFUSED)) {
  test(`checkName() refuses ${what} [C5, R3]`, () => {
    assert.throws(() => checkName("lock name", name), TypeError);
  });
}

test("checkName() gives back what it takes [C5]", () => {
  for (const name of TAKEN) assert.equal(checkName("lock name", name), name);
});

test("checkName() says how long a long name is, and does not repeat it", () => {
  assert.throws(() => checkName("group id", "é".repeat(600)), (error: Error) => {
    assert.match(error.message, /^Cannot use group id: want at most 1024 UTF-8 bytes, got 1200$/);
    return true;
  });
});

test("checkDuration() takes finite milliseconds from its least [C4, R3]", () => {
  for (const ms of [0, 0.5, 1e12]) assert.equal(checkDuration("ttl", ms), ms);
  for (const ms of [-1, NaN, Infinity]) assert.throws(() => checkDuration("ttl", ms), RangeError);
  for (const ms of ["5", null, 5n]) assert.throws(() => checkDuration("ttl", ms), TypeError);
  assert.throws(() => checkDuration("ttl", 0, 1), RangeError);
});

test("checkMode() knows two modes [L6, L7, R3]", () => {
  assert.equal(checkMode(undefined), "exclusive");
  assert.equal(checkMode("shared"), "shared");
  assert.throws(() => checkMode("read"), TypeError);
  assert.throws(() => checkMode(null), TypeError);
});
