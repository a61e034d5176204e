import assert from "node:assert/strict";
import { test } from "node:test";
import { GroupView } from "../../core/group_view.ts";
import type { GroupSnapshot, MemberRecord } from "../../driver.ts";
import { VirtualClock, zake } from "../../drivers/zake.ts";
import { getCoordinator, GroupNotCreatedError } from "../../mod.ts";

function record(presence: string, data: unknown, updatedAt = 0): MemberRecord {
  return { presence, data: JSON.stringify(data), joinedAt: 0, updatedAt };
}

function snapshot(members: Record<string, MemberRecord>): GroupSnapshot {
  return { life: "1", members: new Map(Object.entries(members)) };
}

/** Everything that is to be delivered, as words. */
function drain(view: GroupView<unknown>): string[] {
  const words: string[] = [];
  for (let next = view.next(); next; next = view.next()) {
    const { event } = next;
    words.push(event.type === "deleted" ? "deleted" : `${event.type} ${event.member.id}`);
    if (next.last) break;
  }
  return words;
}

test("GroupView delivers the difference, a replaced member's leaving first [W6]", () => {
  const view = new GroupView();
  view.reset(snapshot({ a: record("1", {}), b: record("2", {}), c: record("3", {}) }));
  assert.deepEqual(drain(view), []);
  view.update(snapshot({ a: record("9", {}), b: record("2", { x: 1 }, 5), d: record("4", {}) }));
  assert.deepEqual(drain(view), ["left a", "left c", "joined a", "updated b", "joined d"]);
  assert.deepEqual([...view.members.keys()].sort(), ["a", "b", "d"]);
});

test("GroupView takes no more room for a thousand unread snapshots than for one [W8]", () => {
  const view = new GroupView();
  view.reset(snapshot({ a: record("1", {}) }));
  for (let i = 0; i < 1_000; i++) {
    view.update(
      snapshot({ a: record("1", { i }, i + 1), b: record(`b${i}`, {}), c: record(`c${i % 7}`, { i }) }),
    );
  }
  assert.deepEqual(drain(view), ["updated a", "joined b", "joined c"]);
  assert.deepEqual(view.members.get("a")?.capabilities, { i: 999 });
});

test("GroupView goes on from what was read when a snapshot comes between two reads [W5, W8]", () => {
  const view = new GroupView();
  view.reset(snapshot({}));
  view.update(snapshot({ a: record("1", {}), b: record("2", {}) }));
  assert.equal(view.next()?.event.type, "joined");
  view.update(snapshot({ b: record("2", { x: 1 }, 1) }));
  assert.deepEqual(drain(view), ["left a", "joined b"]);
});

test("GroupView's members are those after the last event delivered [W2]", () => {
  const view = new GroupView();
  view.reset(snapshot({ a: record("1", {}) }));
  view.update(snapshot({ a: record("1", {}), b: record("2", {}) }));
  assert.deepEqual([...view.members.keys()], ["a"]);
  view.next();
  assert.deepEqual([...view.members.keys()], ["a", "b"]);
});

test("GroupView delivers who left before the deletion [W10]", () => {
  const view = new GroupView();
  view.reset(snapshot({ a: record("1", {}) }));
  view.update(undefined);
  assert.deepEqual(drain(view), ["left a", "deleted"]);
  assert.equal(view.final, true);
});

test("a watch shows foreign data that is no JSON as text, and never throws [W10]", () => {
  const view = new GroupView();
  view.reset(snapshot({ a: { ...record("1", {}), data: "\x81\xa1not json" } }));
  assert.equal(view.members.get("a")?.capabilities, "\x81\xa1not json");
});

test("a slow consumer gets one event for five thousand updates [W8]", async () => {
  await using coord = await getCoordinator(zake(), { memberId: "a" });
  const group = coord.group<number>("g");
  await group.join(0, { create: true });
  await using watch = await group.watch();
  for (let i = 1; i <= 5_000; i++) await group.update(i);
  const iterator = watch[Symbol.asyncIterator]();
  const { value } = await iterator.next();
  assert.equal(value.type, "updated");
  assert.ok(value.member.capabilities > 4_900, `${value.member.capabilities}`);
});

test("a watch ends with its coordinator, and a waiting iteration returns [W10]", async () => {
  const coord = await getCoordinator(zake(), { memberId: "a" });
  const group = coord.group("g");
  await group.create();
  const [watch, elections] = [await group.watch(), await coord.election("e").watch()];
  const ended = Promise.all([Array.fromAsync(watch), Array.fromAsync(elections)]);
  await coord.close();
  assert.deepEqual(await ended, [[], []]);
});

test("watch() of a group that does not exist leaves no timer and no subscription [W1]", async () => {
  const clock = new VirtualClock();
  const coord = await getCoordinator(zake(undefined, { clock }), { memberId: "a" });
  await coord.groups(); // Calls have one timer for all, until the coordinator is closed.
  const { pending } = clock;
  await assert.rejects(coord.group("none").watch(), GroupNotCreatedError);
  assert.equal(clock.pending, pending);
  await coord.close();
  assert.equal(clock.pending, 0);
});

test("watch() hears its signal while earlier calls on the group are under way [R4, W1]", async () => {
  const clock = new VirtualClock();
  const backend = zake(undefined, { clock });
  const coord = await getCoordinator(backend, { memberId: "a" });
  const group = coord.group("g");
  await group.create();
  backend.partition("a");
  const earlier = group.members();
  const reason = new Error("enough");
  const early = AbortSignal.abort(reason);
  await assert.rejects(group.watch({ signal: early }), (error) => error === reason);
  const controller = new AbortController();
  const watching = group.watch({ signal: controller.signal });
  controller.abort(reason);
  await assert.rejects(watching, (error) => error === reason);
  backend.heal();
  assert.equal((await earlier).size, 0);
  await coord.close();
  assert.equal(clock.pending, 0);
});

test("each of several next() at once gets its own event, and all end with the watch [W10]", async () => {
  await using coord = await getCoordinator(zake(), { memberId: "a" });
  const group = coord.group("g");
  await group.create();
  await using watch = await group.watch();
  const iterator = watch[Symbol.asyncIterator]();
  const reads = [iterator.next(), iterator.next(), iterator.next(), iterator.next()];
  const membership = await group.join();
  await membership.leave();
  assert.equal((await reads[0])?.value.type, "joined");
  assert.equal((await reads[1])?.value.type, "left");
  await watch[Symbol.asyncDispose]();
  for (const read of reads.slice(2)) assert.equal((await read).done, true);
});

test("a watch has one iterator [W11]", async () => {
  await using coord = await getCoordinator(zake());
  await coord.group("g").create();
  await using watch = await coord.group("g").watch();
  const iterator = watch[Symbol.asyncIterator]();
  assert.throws(() => watch[Symbol.asyncIterator](), TypeError);
  await iterator.return?.();
});
