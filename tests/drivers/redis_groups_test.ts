import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  CapacityError,
  GroupAlreadyExistError,
  GroupNotCreatedError,
  GroupNotEmptyError,
  MemberAlreadyExistError,
  MemberNotJoinedError,
  SessionLostError,
} from "../../core/errors.ts";
import type { GroupSnapshot, Joining } from "../../driver.ts";
import { JOIN } from "../../drivers/redis/group_scripts.ts";
import type { RedisSession } from "../../drivers/redis/session.ts";
import { findBinary } from "../servers/binaries.ts";
import { fired, NEVER, type Party, startWorld, until } from "./redis_world.ts";

const OPTIONS = { skip: !findBinary("redis-server"), timeout: 60_000 };

function joining(presence: string, options: Partial<Joining> = {}): Joining {
  return { presence, data: "{}", replace: false, ...options };
}

/** Reads a watch to its end, into a list. */
function follow(party: Party, group: string, signal: AbortSignal = NEVER) {
  const seen: (string | undefined)[] = [];
  const show = ({ members }: GroupSnapshot) =>
    [...members].map(([id, { presence, data }]) => `${id}=${presence}:${data}`).sort().join(" ");
  const done = (async () => {
    for await (const members of party.groups.watch(group, signal)) {
      const now = members && show(members);
      if (seen.length === 0 || seen.at(-1) !== now) seen.push(now);
    }
  })();
  done.catch(() => {}); // Awaited where it matters.
  const sees = (what: string | undefined) =>
    until(() => seen.at(-1) === what, `${what} after ${seen.join(" | ")}`);
  return { seen, done, sees };
}

test("a group is created once, and deleted only when empty", OPTIONS, async () => {
  await using world = await startWorld();
  const [a, b] = [await world.open("a"), await world.open("b")];
  for (
    const call of [
      a.groups.delete("g"),
      a.groups.join("g", joining("p")),
      a.groups.update("g", "a", "1"),
      a.groups.remove("g", "a"),
      a.groups.members("g"),
      a.groups.watch("g", NEVER)[Symbol.asyncIterator]().next(),
    ]
  ) {
    await assert.rejects(call, GroupNotCreatedError);
  }
  await a.groups.create("g");
  await assert.rejects(b.groups.create("g"), GroupAlreadyExistError);
  assert.deepEqual(await b.groups.list(), ["g"]);
  assert.equal((await b.groups.members("g")).members.size, 0);
  await a.groups.join("g", joining("p"));
  await assert.rejects(b.groups.delete("g"), GroupNotEmptyError);
  await a.groups.remove("g", "a");
  await b.groups.delete("g");
  assert.deepEqual(await a.groups.list(), []);
  assert.deepEqual((await world.leftovers()).filter((key) => !key.includes(":s:")), []);
});

test("a member is what it joined with, and times are the server's", OPTIONS, async () => {
  await using world = await startWorld();
  const a = await world.open("a b:{%}");
  await a.groups.create("g");
  const data = JSON.stringify({ text: "line\nline \u2028 😀 {} %20", big: "x".repeat(100_000) });
  await a.groups.join("g", joining("presence 1: {}", { data }));
  const [time] = await world.client.time();
  const member = (await a.groups.members("g")).members.get("a b:{%}");
  assert.equal(member?.presence, "presence 1: {}");
  assert.equal(member?.data, data);
  assert.ok(Math.abs((member?.joinedAt ?? 0) - Number(time) * 1000) < 3000);
  assert.equal(member?.joinedAt, member?.updatedAt);
  await sleep(5);
  await a.groups.update("g", "a b:{%}", "null", "presence 1: {}");
  const updated = (await a.groups.members("g")).members.get("a b:{%}");
  assert.equal(updated?.data, "null");
  assert.equal(updated?.joinedAt, member?.joinedAt);
  assert.ok((updated?.updatedAt ?? 0) > (member?.updatedAt ?? 0));
});

test(
  "an update after the server's clock was set back is not older than the one before",
  OPTIONS,
  async () => {
    await using world = await startWorld();
    const a = await world.open("a");
    await a.groups.create("g");
    await a.groups.join("g", joining("p"));
    const [records = ""] = await world.client.keys("*:d");
    const later = Date.now() + 1_000_000;
    await world.client.hset(records, "a", `p ${later} ${later} {}`);
    await a.groups.update("g", "a", "1");
    const { updatedAt, data } = (await a.groups.members("g")).members.get("a") ?? {};
    assert.deepEqual([updatedAt, data], [later, "1"]);
  },
);

test("a live member keeps its id, against all but replacement and its own incarnation", OPTIONS, async () => {
  await using world = await startWorld();
  const [a, other] = [await world.open("a", { incarnation: "i" }), await world.open("a")];
  await a.groups.create("g");
  const first = await a.groups.join("g", joining("p1"));
  await assert.rejects(other.groups.join("g", joining("p2")), MemberAlreadyExistError);
  for (
    const call of [
      other.groups.update("g", "a", "1", "p0"),
      other.groups.remove("g", "a", "p0"),
      other.groups.update("g", "nobody", "1"),
      other.groups.remove("g", "nobody"),
    ]
  ) {
    await assert.rejects(call, MemberNotJoinedError);
  }
  const second = await other.groups.join("g", joining("p3", { replace: true }));
  await fired(first.lost, 500);
  assert.equal((await a.groups.members("g")).members.get("a")?.presence, "p3");
  await assert.rejects(a.groups.remove("g", "a", "p1"), MemberNotJoinedError);
  await a.groups.remove("g", "a");
  await fired(second.lost, 500);
  const third = await a.groups.join("g", joining("p4"));
  const reborn = await world.open("a", { incarnation: "i" });
  const fourth = await reborn.groups.join("g", joining("p5"));
  await fired(third.lost, 500);
  const fifth = await reborn.groups.join("g", joining("p6"));
  await fired(fourth.lost, 500);
  await reborn.groups.remove("g", "a", "p6");
  await reborn.beat();
  assert.equal(fifth.lost.aborted, false);
  const sixth = await reborn.groups.join("g", joining("p7"));
  await reborn.groups.remove("g", "a");
  assert.ok(sixth.lost.reason instanceof MemberNotJoinedError);
  assert.equal((await a.groups.members("g")).members.size, 0);
});

test("watch() follows joins, updates, leaves, deaths and the deletion", OPTIONS, async () => {
  await using world = await startWorld();
  const [a, b] = [await world.open("a", { ttl: 10_000 }), await world.open("b", { ttl: 700 })];
  await a.groups.create("g");
  const { seen, done, sees } = follow(a, "g");
  // Another that waits for the same death must not take it from the first.
  const other = follow(a, "g");
  await sees("");
  await a.groups.join("g", joining("p1", { data: "1" }));
  await sees("a=p1:1");
  await b.groups.join("g", joining("p2", { data: "2" }));
  await sees("a=p1:1 b=p2:2");
  await a.groups.update("g", "a", "3");
  await sees("a=p1:3 b=p2:2");
  await world.client.config("RESETSTAT");
  await b.beat();
  const start = performance.now();
  b.die();
  await sees("a=p1:3");
  const took = performance.now() - start;
  assert.ok(took > 600 && took < 1000, `took ${took} ms`);
  const calls = Number(/cmdstat_evalsha:calls=(\d+)/.exec(await world.client.info("commandstats"))?.[1]);
  assert.ok(calls <= 9, `${calls} calls to notice a death`);
  await other.sees("a=p1:3");
  await a.groups.remove("g", "a", "p1");
  await sees("");
  await a.groups.delete("g");
  await sees(undefined);
  await done;
  assert.deepEqual(seen, ["", "a=p1:1", "a=p1:1 b=p2:2", "a=p1:3 b=p2:2", "a=p1:3", "", undefined]);
});

test("watch() takes a group that was made anew for another", OPTIONS, async () => {
  await using world = await startWorld();
  const [a, b] = [await world.open("a"), await world.open("b")];
  await a.groups.create("g");
  const watching = b.groups.watch("g", NEVER)[Symbol.asyncIterator]();
  assert.equal((await watching.next()).value?.members.size, 0);
  await Promise.all([a.groups.delete("g"), a.groups.create("g")]);
  assert.equal((await watching.next()).value, undefined);
  assert.equal((await watching.next()).done, true);
});

test("watch() ends when its signal aborts, and leaves no subscription", OPTIONS, async () => {
  await using world = await startWorld();
  const a = await world.open("a");
  await a.groups.create("g");
  const stop = new AbortController();
  const watches = [follow(a, "g", stop.signal), follow(a, "g", stop.signal), follow(a, "g")];
  for (const { sees } of watches) await sees("");
  stop.abort();
  await Promise.all(watches.slice(0, 2).map(({ done }) => done));
  assert.deepEqual(await world.client.pubsub("CHANNELS", "{*"), ["{test:g:g}"]);
  await a.groups.join("g", joining("p"));
  await watches[2]?.sees("a=p:{}");
  await a.close();
  await assert.rejects(watches[2]?.done ?? Promise.resolve(), SessionLostError);
  assert.deepEqual(await a.groups.watch("g", stop.signal)[Symbol.asyncIterator]().next(), {
    done: true,
    value: undefined,
  });
});

test("200 members with 100 kB each are read and watched", OPTIONS, async () => {
  await using world = await startWorld();
  const parties = await Promise.all(
    Array.from({ length: 200 }, (_, i) => world.open(`m${i}`, { ttl: 60_000, timeout: 5000 })),
  );
  const [first] = parties;
  assert.ok(first);
  await first.groups.create("g");
  const data = JSON.stringify("x".repeat(100_000));
  await Promise.all(parties.map((party, i) => party.groups.join("g", joining(`p${i}`, { data }))));
  const { members } = await first.groups.members("g");
  assert.equal(members.size, 200);
  for (const [id, member] of members) {
    assert.ok(member.data === data && member.presence === `p${id.slice(1)}`);
  }
  const watch = first.groups.watch("g", NEVER)[Symbol.asyncIterator]();
  assert.equal((await watch.next()).value?.members.size, 200);
  await parties[1]?.groups.remove("g", "m1");
  for (let i = 0; i < 5; i++) {
    if ((await watch.next()).value?.members.size === 199) break;
    assert.notEqual(i, 4);
  }
  await watch.return?.();
  assert.deepEqual(first.notes, []);
});

test("a dead member is replaced without being asked, and its group can be deleted", OPTIONS, async () => {
  await using world = await startWorld();
  const [b, again] = [await world.open("b", { ttl: 20_000 }), await world.open("a", { ttl: 20_000 })];
  await b.groups.create("g");
  const a = await world.open("a", { ttl: 1_000 });
  await a.groups.join("g", joining("p1"));
  a.die();
  await assert.rejects(again.groups.join("g", joining("p2")), MemberAlreadyExistError);
  await sleep(1_050);
  await again.groups.join("g", joining("p3"));
  assert.equal((await b.groups.members("g")).members.get("a")?.presence, "p3");
  await world.client.del(...(await world.client.keys("test:s:*")));
  await assert.rejects(b.beat(), SessionLostError);
  const c = await world.open("c");
  await assert.rejects(c.groups.update("g", "a", "1"), MemberNotJoinedError);
  await c.groups.delete("g");
});

test(
  "a member that was evicted while its join was under way is not there when the join is repeated",
  OPTIONS,
  async () => {
    await using world = await startWorld();
    const [a, b] = [await world.open("a", { ttl: 60_000 }), await world.open("b")];
    await a.groups.create("g");
    // The session is one of redis; its join is carried out, its answer lost, the member evicted, and the join sent again.
    const session = a as unknown as RedisSession;
    const call = session.call.bind(session);
    session.call = async (script, ...rest) => {
      if (script !== JOIN) return await call(script, ...rest);
      await call(script, ...rest);
      await b.groups.remove("g", "a");
      await until(() => session.members.size === 0, "the member has heard of it");
      return await call(script, ...rest);
    };
    const presence = await a.groups.join("g", joining("p"));
    assert.ok(presence.lost.reason instanceof MemberNotJoinedError);
    await until(async () => (await b.groups.members("g")).members.size === 0, "nobody is a member");
  },
);

test(
  "a join that was carried out unheard, and refused when it was repeated, leaves no member",
  OPTIONS,
  async () => {
    await using world = await startWorld();
    const [a, b] = [await world.open("a", { ttl: 60_000 }), await world.open("b")];
    await a.groups.create("g");
    // The session is one of redis; it is out of memory when the join is sent again.
    const session = a as unknown as RedisSession;
    const call = session.call.bind(session);
    session.call = async (script, ...rest) => {
      const answer = await call(script, ...rest);
      if (script !== JOIN) return answer;
      throw new CapacityError("Cannot store more: the memory is used up");
    };
    await assert.rejects(a.groups.join("g", joining("p")), CapacityError);
    await until(async () => (await b.groups.members("g")).members.size === 0, "nobody is a member");
  },
);
