import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { escapePart, predecessor, readEntries, unescapePart } from "../../drivers/zookeeper/paths.ts";
import { splitMessages } from "../../drivers/zookeeper/wire.ts";
import { findZooKeeper } from "../servers/zookeeper.ts";
import { entry, startWorld } from "./zookeeper_world.ts";

const NAMES = [
  ...[
    "a",
    ".",
    "..",
    "...",
    "%2e",
    "%",
    "%%",
    "/",
    "a/b",
    "//",
    "zookeeper",
    "%7aookeeper",
    "quota",
    " ",
    "\n",
    "\t\r",
  ],
  ...[
    "\u0001",
    "\u007f",
    "\u0085",
    "\u009f",
    "\ue000",
    "\uf8ff",
    "\ufff0",
    "\ufffd",
    "😀",
    "é",
    "e\u0301",
    "\ud7ff",
  ],
  ...[
    "x".repeat(1024),
    "😀".repeat(256),
    "\ue000".repeat(341),
    "-write-0000000001",
    "by:x",
    "of:a:b",
    "locks",
  ],
];

test("escapePart() is reversible, and no two names make one", () => {
  for (const name of NAMES) assert.equal(unescapePart(escapePart(name)), name);
  assert.equal(new Set(NAMES.map(escapePart)).size, NAMES.length);
  assert.equal(unescapePart("100%"), "100%");
});

test("the server takes every name, as lock, group, member and namespace", {
  skip: !findZooKeeper(),
  timeout: 60_000,
}, async () => {
  await using world = await startWorld();
  const a = await world.open({ limit: 10_000 });
  for (const name of NAMES) {
    await a.line({ kind: "lock", name }).enter(entry({ value: name }), false);
    assert.equal(await a.groups.create(name, name), true, JSON.stringify(name));
    assert.equal(await a.groups.put(name, name, name, undefined), true);
    const other = await world.open({ namespace: name });
    assert.equal(await other.groups.create("g", "one"), true);
    assert.deepEqual(await other.groups.list(), ["g"]);
    await other.end();
  }
  for (const name of NAMES) {
    const { entries } = await a.line({ kind: "lock", name }).list();
    assert.deepEqual(entries.map(({ value }) => value), [name]);
    const view = await a.groups.read(name);
    assert.deepEqual([view?.by, [...view?.members.keys() ?? []]], [name, [name]]);
  }
  assert.deepEqual((await a.groups.list()).sort(), [...NAMES].sort());
});

test("readEntries() knows the order also where the numbers run over", () => {
  const names = [
    "c-read--2147483648",
    "a-write-2147483646",
    "d-write--2147483647",
    "b-write-2147483647",
    "other",
  ];
  const entries = readEntries(names);
  assert.deepEqual(entries.map(({ id, mode }) => `${id} ${mode}`), [
    "a exclusive",
    "b exclusive",
    "c shared",
    "d exclusive",
  ]);
  const [a, b, c, d] = entries;
  assert.ok(a && b && c && d);
  assert.deepEqual([a, b, c, d].map((one) => predecessor(entries, one)?.id), [undefined, "a", "b", "c"]);
  const few = readEntries([
    "x-read-0000000003",
    "_c_1-lock-0000000001",
    "y-write--000000001",
    "k__lock__0000000002",
  ]);
  assert.deepEqual(few.map(({ id, sequence }) => `${id} ${sequence}`), [
    "y -1",
    "_c_1-lock-0000000001 1",
    "k__lock__0000000002 2",
    "x 3",
  ]);
});

test("splitMessages() finds them in pieces of any size", () => {
  const messages = ["", "a", "hello", "x".repeat(70_000)].map((text) => {
    const length = Buffer.alloc(4);
    length.writeInt32BE(text.length);
    return Buffer.concat([length, Buffer.from(text)]);
  });
  const stream = Buffer.concat(messages);
  for (const size of [1, 3, 7, 4096, 65_536, stream.length]) {
    const found: string[] = [];
    const take = splitMessages((message) => found.push(message.toString("hex")));
    for (let at = 0; at < stream.length; at += size) take(stream.subarray(at, at + size));
    assert.deepEqual(found, messages.map((message) => message.toString("hex")), `pieces of ${size}`);
  }
});
