import assert from "node:assert/strict";
import type { GroupEvent, GroupWatch } from "../../core/api/group.ts";
import { within } from "./waiting.ts";

/** The next item; fails when the iteration ends, or nothing comes. */
export async function next<T>(iterator: AsyncIterator<T>, what: string): Promise<T> {
  const result = await within(iterator.next(), what);
  assert.ok(!result.done, `the iteration ended before: ${what}`);
  return result.value;
}

/** Reads until an item is as wanted, and returns it. */
export async function until<T>(
  iterator: AsyncIterator<T>,
  wanted: (item: T) => boolean,
  what: string,
): Promise<T> {
  for (;;) {
    const item = await next(iterator, what);
    if (wanted(item)) return item;
  }
}

/** Fails unless the iteration ends now. */
export async function ended(iterator: AsyncIterator<unknown>): Promise<void> {
  assert.equal((await within(iterator.next(), "the iteration ends")).done, true);
}

/** An event in a word or two: `joined a`. */
export function word(event: GroupEvent<unknown>): string {
  return event.type === "deleted" ? "deleted" : `${event.type} ${event.member.id}`;
}

/** Reads events until the watch's view is as wanted. */
export async function viewed<C>(
  watch: GroupWatch<C>,
  iterator: AsyncIterator<GroupEvent<C>>,
  wanted: (members: GroupWatch<C>["members"]) => boolean,
  what: string,
): Promise<void> {
  while (!wanted(watch.members)) await next(iterator, what);
}

/** The one iterator of a watch. */
export function iterate<T>(items: AsyncIterable<T>): AsyncIterator<T> {
  return items[Symbol.asyncIterator]();
}
