import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, encode } from "../../core/capabilities.ts";
import { SerializationError } from "../../mod.ts";

const READER = { member: "member-1", driver: "zake" };

class Point {
  readonly x = 1;
}

const cyclic: Record<string, unknown> = { list: [] };
cyclic.list = [{ cyclic }];
const holed = Array(2);
const extended: unknown[] & { more?: number } = [1];
extended.more = 2;

/** What JSON would change, drop or refuse, by what is wrong with it. */
const CHANGED: Readonly<Record<string, unknown>> = {
  "undefined": undefined,
  "undefined in an object": { a: undefined },
  "undefined in an array": [undefined],
  "NaN": NaN,
  "Infinity": [Infinity],
  "minus zero": { deep: [-0] },
  "a bigint": 1n,
  "a symbol": Symbol("s"),
  "a function": { f: () => {} },
  "a Date": { when: new Date(0) },
  "a Map": new Map([["a", 1]]),
  "a Set": new Set([1]),
  "a RegExp": /a/,
  "an instance of a class": new Point(),
  "a boxed string": Object("text"),
  "a typed array": new Uint8Array(2),
  "toJSON() of its own": { a: 1, toJSON: () => 2 },
  "a cycle": cyclic,
  "an array with a hole": holed,
  "an array with a property": extended,
  "a symbol as a key": { [Symbol("key")]: 1, a: 2 },
  "a getter": {
    get a() {
      return 1;
    },
  },
  "a property that is not enumerable": Object.defineProperty({ a: 1 }, "b", { value: 2 }),
};

const shared = { a: 1 };
const text = "é 日本 😀 \u0000 \u2028 \u2029 \u007f \ufeff \\ \" ' </script>";

/** What comes back as it was. */
const KEPT: Readonly<Record<string, unknown>> = {
  "null": null,
  "booleans": [true, false],
  "numbers": [0, 1, -1, 1.5, 1e308, 5e-324, Number.MAX_SAFE_INTEGER, 2 ** 53 + 2],
  "strings": ["", text],
  "half surrogates": ["\ud83d", "\ude00", "\ude00\ud83d", { "\ud83d": 1 }],
  "empty ones": [[], {}, [[]], { "": {} }],
  "a key named __proto__": JSON.parse('{"__proto__": {"a": 1}, "constructor": 2, "toString": 3}'),
  "toJSON that is no function": { toJSON: 1 },
  "an object without a prototype": Object.assign(Object.create(null), { a: 1 }),
  "one object in two places": [shared, { shared }],
  "keys in an order of their own": { b: 1, a: 2, "10": 3, "9": 4 },
  "100 kB": { list: Array.from({ length: 5_000 }, (_, i) => `é-${i}-${"x".repeat(12)}`) },
};

for (const [what, value] of Object.entries(CHANGED)) {
  test(`encode() refuses ${what} [G15]`, () => {
    assert.throws(() => encode(value, "zake"), SerializationError);
  });
}

for (const [what, value] of Object.entries(KEPT)) {
  test(`encode() keeps ${what} [G14]`, () => {
    const back = decode(encode(value, "zake"), READER);
    assert.equal(JSON.stringify(back), JSON.stringify(value));
    assert.equal(encode(back, "zake"), encode(value, "zake"));
  });
}

test("encode() keeps an own __proto__ apart from the prototype [G14]", () => {
  const back = decode(encode(JSON.parse('{"__proto__": {"a": 1}}'), "zake"), READER);
  assert.deepEqual(Object.keys(back as object), ["__proto__"]);
  assert.equal(Object.getPrototypeOf(back), Object.prototype);
});

test("encode() says where the flaw is [G15]", () => {
  assert.throws(() => encode({ a: [{ b: NaN }] }, "zake"), /capabilities\.a\[0\]\.b is NaN/);
});

test("encode() takes deep nesting or says no, and never overflows the stack [G15]", () => {
  let deep: unknown = 1;
  for (let i = 0; i < 500; i++) deep = [deep];
  assert.equal(encode(decode(encode(deep, "zake"), READER), "zake"), encode(deep, "zake"));
  for (let i = 0; i < 100_000; i++) deep = [deep];
  assert.throws(() => encode(deep, "zake"), SerializationError);
});

test("decode() of what is no JSON is a SerializationError", () => {
  assert.throws(() => decode("{", READER), /member "member-1"/);
});
