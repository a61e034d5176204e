import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { readPage } from "../../tools/testing/page.ts";

const PAGE = `# Title

A paragraph of two lines whose ids look like \`[X1]\`: one. [A1] Two
goes on. [A2]

- An item
  of two lines. [A3]
- Another without.

\`\`\`ts
const url = "redis://host"; // with an id [B1]
const port = 1; // without one
const name = "";
\`\`\`

What leads over to a table:

| head | what  |
| ---- | ----- |
| row  | x [C1] |
`;

test("readPage() finds each sentence with its id", () => {
  assert.deepEqual(readPage(PAGE).sentences.map(({ id, text }) => [id, text]), [
    ["A1", "A paragraph of two lines whose ids look like `[X1]`: one."],
    ["A2", "Two goes on."],
    ["A3", "An item of two lines."],
    ["B1", 'const url = "redis://host"; // with an id'],
    ["C1", "| row  | x"],
  ]);
});

test("readPage() finds what has no id", () => {
  assert.deepEqual(readPage(PAGE).unmarked.map(({ line, text }) => [line, text]), [
    [8, "Another without."],
    [12, "const port = 1; // without one"],
  ]);
});

test("docs/api.md has an id for each promise, and no id twice [C1]", () => {
  const { sentences, unmarked } = readPage(
    readFileSync(new URL("../../docs/api.md", import.meta.url), "utf8"),
  );
  assert.deepEqual(unmarked, []);
  assert.equal(new Set(sentences.map(({ id }) => id)).size, sentences.length);
  assert.ok(sentences.length > 150);
});
