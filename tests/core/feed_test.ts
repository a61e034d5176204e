import assert from "node:assert/strict";
import { test } from "node:test";
import { Feed } from "../../core/feed.ts";

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  return await Array.fromAsync(items);
}

test("an iteration starts to read when it begins, with what is first then [S3]", async () => {
  const feed = new Feed<number>(10);
  let now = 0;
  const items = feed.subscribe(() => [now]);
  feed.publish(++now);
  const iterator = items[Symbol.asyncIterator]();
  feed.publish(++now);
  feed.publish(++now);
  feed.close();
  assert.deepEqual(await all({ [Symbol.asyncIterator]: () => iterator }), [1, 2, 3]);
});

test("a slow reader keeps the latest items, and only so many [S3]", async () => {
  const feed = new Feed<number>(3);
  const iterator = feed.subscribe()[Symbol.asyncIterator]();
  for (let i = 0; i < 1_000; i++) feed.publish(i);
  feed.close();
  assert.deepEqual(await all({ [Symbol.asyncIterator]: () => iterator }), [997, 998, 999]);
});

test("a reader that waits is woken, and ends with the feed", async () => {
  const feed = new Feed<string>(3);
  const iterator = feed.subscribe()[Symbol.asyncIterator]();
  const first = iterator.next();
  feed.publish("a");
  assert.deepEqual(await first, { done: false, value: "a" });
  const second = iterator.next();
  feed.close();
  assert.deepEqual(await second, { done: true, value: undefined });
  assert.deepEqual(await iterator.next(), { done: true, value: undefined });
});

test("a reader that returns ends, also one that waits", async () => {
  const feed = new Feed<string>(3);
  const iterator = feed.subscribe()[Symbol.asyncIterator]();
  const waiting = iterator.next();
  await iterator.return?.();
  assert.equal((await waiting).done, true);
  feed.publish("late");
  assert.equal((await iterator.next()).done, true);
});

test("each of several next() at once gets its own item, and all end with the feed [S3]", async () => {
  const feed = new Feed<number>(3);
  const iterator = feed.subscribe()[Symbol.asyncIterator]();
  const reads = [iterator.next(), iterator.next(), iterator.next(), iterator.next()];
  feed.publish(1);
  assert.deepEqual(await reads[0], { done: false, value: 1 });
  feed.publish(2);
  assert.deepEqual(await reads[1], { done: false, value: 2 });
  feed.close();
  for (const read of reads.slice(2)) assert.deepEqual(await read, { done: true, value: undefined });
});

test("undefined may be an item", async () => {
  const feed = new Feed<undefined>(3);
  const items = feed.subscribe(() => [undefined]);
  feed.close();
  assert.deepEqual(await all(items), [undefined]);
});

test("a subscription to a feed that is closed ends after its first items", async () => {
  const feed = new Feed<number>(3);
  feed.close();
  assert.deepEqual(await all(feed.subscribe(() => [1])), [1]);
});
