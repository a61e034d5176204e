import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../internal/clock.ts";

test("no timer fires early", async () => {
  const late = await Promise.all(Array.from({ length: 500 }, (_, i) => {
    const { promise, resolve } = Promise.withResolvers<number>();
    const at = systemClock.now() + i / 3;
    systemClock.after(i / 3, () => resolve(systemClock.now() - at));
    return promise;
  }));
  const first = Math.min(...late);
  assert.ok(first >= 0, `${-first} ms early`);
});

test("a timer that was cancelled does not fire, nor while it waits once more", async () => {
  let fired = 0;
  const cancels = Array.from({ length: 100 }, (_, i) => systemClock.after(20 + i / 100, () => fired++));
  const { promise, resolve } = Promise.withResolvers<void>();
  systemClock.after(19, resolve);
  await promise;
  const before = fired;
  for (const cancel of cancels) cancel();
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(fired, before);
});
