import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { HashRing } from "../../mod.ts";

/** What OpenStack tooz answered; keys and answers are in base64. */
interface Vector {
  readonly nodes: readonly string[];
  readonly weights: Readonly<Record<string, number>>;
  readonly partitions: number;
  readonly ring_size: number;
  readonly first_partitions: readonly string[];
  readonly queries: readonly {
    readonly key: string;
    readonly one: readonly string[];
    readonly two: readonly string[];
    /** Without the first node; null where there is no other. */
    readonly ignore_first: readonly string[] | null;
  }[];
}

const FILE = new URL("../vectors/hash_ring.json", import.meta.url);
const VECTORS: readonly Vector[] = JSON.parse(readFileSync(FILE, "utf8"));

function md5(...parts: (string | Uint8Array)[]): bigint {
  const hash = createHash("md5");
  for (const part of parts) hash.update(part);
  return BigInt(`0x${hash.digest("hex")}`);
}

/** The points of a ring from their definition: node, then node once more for each point so far. */
function points({ weights, partitions }: Vector): { at: bigint; node: string }[] {
  return Object.entries(weights)
    .flatMap(([node, weight]) =>
      Array.from({ length: partitions * weight }, (_, i) => ({
        at: md5(...Array<string>(i + 2).fill(node)),
        node,
      }))
    )
    .sort((a, b) => (a.at < b.at ? -1 : 1));
}

function ringOf(vector: Vector): HashRing {
  const ring = new HashRing([], { partitions: vector.partitions });
  for (const node of vector.nodes) ring.addNode(node, vector.weights[node]);
  return ring;
}

function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
}

function textOf(base64: string): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(bytesOf(base64));
}

function encoded(nodes: Iterable<string>): string[] {
  return [...nodes].map((node) => btoa(node)).sort();
}

for (const vector of VECTORS) {
  const name = `${vector.nodes.length} nodes, ${vector.partitions} partitions`;

  test(`a ring of ${name} has the weights that it was given [P10]`, () => {
    assert.deepEqual(Object.fromEntries(ringOf(vector).nodes), vector.weights);
  });

  test(`a ring of ${name} answers as tooz does [P9, P11]`, () => {
    const ring = ringOf(vector);
    for (const { key, one, two, ignore_first } of vector.queries) {
      for (const form of [bytesOf(key), textOf(key)]) {
        const ignore = vector.nodes.slice(0, 1);
        assert.deepEqual(encoded(ring.nodesFor(form)), one);
        assert.deepEqual(encoded(ring.nodesFor(form, { replicas: 2 })), two);
        assert.deepEqual(encoded(ring.nodesFor(form, { ignore })), ignore_first ?? []);
      }
    }
  });

  test(`a ring of ${name} has its points where tooz has them [P11]`, () => {
    const all = points(vector);
    assert.equal(all.length, vector.ring_size);
    const first = all.slice(0, vector.first_partitions.length).map(({ at }) => String(at));
    assert.deepEqual(first, vector.first_partitions);
    const ring = ringOf(vector);
    for (let i = 0; i < 500; i++) {
      const key = `key-${i}`;
      const expected = (all.find(({ at }) => at > md5(key)) ?? all[0])?.node;
      assert.deepEqual([...ring.nodesFor(key)], [expected]);
    }
  });
}

test("HashRing has 32 partitions a node by default [P11]", () => {
  const [vector] = VECTORS;
  assert.ok(vector);
  const ring = new HashRing(vector.nodes);
  for (const { key, one } of vector.queries) assert.deepEqual(encoded(ring.nodesFor(bytesOf(key))), one);
});

test("addNode() gives a node of weight 2 twice the share [P7]", () => {
  const ring = new HashRing(["a", "b"], { partitions: 256 });
  ring.addNode("c", 2);
  const keys = Array.from({ length: 4000 }, (_, i) => `key-${i}`);
  const share = keys.filter((key) => ring.nodesFor(key).has("c")).length / keys.length;
  assert.ok(Math.abs(share - 0.5) < 0.08, `share ${share}`);
});

test("addNode() of a node that is there changes its weight [P10]", () => {
  const ring = new HashRing(["a", "b"]);
  ring.addNode("a", 3);
  ring.addNode("a", 1);
  assert.deepEqual([...ring.nodes].sort(), [["a", 1], ["b", 1]]);
  const fresh = new HashRing(["b", "a"]);
  for (let i = 0; i < 200; i++) assert.deepEqual(ring.nodesFor(`${i}`), fresh.nodesFor(`${i}`));
});

test("removeNode() moves no key of the others [P8]", () => {
  const ring = new HashRing(["a", "b", "c"]);
  const keys = Array.from({ length: 300 }, (_, i) => `key-${i}`);
  const before = keys.map((key) => [...ring.nodesFor(key)][0]);
  ring.removeNode("b");
  for (const [i, key] of keys.entries()) {
    const [now] = ring.nodesFor(key);
    if (before[i] !== "b") assert.equal(now, before[i]);
    assert.notEqual(now, "b");
  }
});

test("removeNode() of a node that is not there is a RangeError [P8]", () => {
  const ring = new HashRing(["a"]);
  assert.throws(() => ring.removeNode("b"), RangeError);
  ring.removeNode("a");
  assert.throws(() => ring.removeNode("a"), RangeError);
  assert.equal(ring.nodesFor("key").size, 0);
});

test("nodesFor() gives fewer where there are fewer [P9]", () => {
  const ring = new HashRing(["a", "b", "c"]);
  assert.deepEqual([...ring.nodesFor("key", { replicas: 9 })].sort(), ["a", "b", "c"]);
  assert.equal(ring.nodesFor("key", { replicas: 9, ignore: ["a", "nobody"] }).size, 2);
  assert.equal(ring.nodesFor("key", { replicas: 0 }).size, 0);
  assert.equal(new HashRing().nodesFor("key").size, 0);
});

test("HashRing takes no wrong argument [R3]", () => {
  assert.throws(() => new HashRing([], { partitions: 0 }), RangeError);
  assert.throws(() => new HashRing([], { hash: "no such hash" }), RangeError);
  assert.throws(() => new HashRing().addNode("a", 0.5), RangeError);
  assert.throws(() => new HashRing(["a"]).nodesFor("key", { replicas: -1 }), RangeError);
});

test("HashRing takes names and keys beyond ASCII [P11]", () => {
  const ring = new HashRing(["é", "日本", "😀"]);
  const bytes = new TextEncoder().encode("ключ");
  assert.deepEqual(ring.nodesFor("ключ", { replicas: 2 }), ring.nodesFor(bytes, { replicas: 2 }));
});
