import assert from "node:assert/strict";
import * as fs from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  GroupAlreadyExistError,
  GroupNotCreatedError,
  GroupNotEmptyError,
  MemberAlreadyExistError,
  MemberNotJoinedError,
  SessionLostError,
} from "../../core/errors.ts";
import type { GroupSnapshot } from "../../driver.ts";
import { encodeName } from "../../internal/files/names.ts";
import { eventually, lost, type Party, World } from "./file_world.ts";

const join1 = (presence: string, options = {}) => ({ presence, data: "{}", replace: false, ...options });

/** Follows a group; the last of `seen` is how it stands. */
function follow(party: Party, id: string): { seen: (GroupSnapshot | undefined)[]; stop(): Promise<void> } {
  const seen: (GroupSnapshot | undefined)[] = [];
  const end = new AbortController();
  const done = (async () => {
    for await (const snapshot of party.groups.watch(id, end.signal)) seen.push(snapshot);
  })();
  return { seen, stop: () => (end.abort(), done) };
}

test("groups are made, listed by their real names, and deleted when empty", async () => {
  await using world = new World();
  const [one, two] = [await world.open("one"), await world.open("two")];
  const ids = ["team", "Team", "../x", "😀", "y".repeat(1024)];
  for (const id of ids) await one.groups.create(id);
  assert.deepEqual((await two.groups.list()).sort(), ids.toSorted());
  await assert.rejects(two.groups.create("team"), GroupAlreadyExistError);
  await two.groups.join("team", join1("p"));
  await assert.rejects(one.groups.delete("team"), GroupNotEmptyError);
  await two.close();
  for (const id of ids) await one.groups.delete(id);
  assert.deepEqual(await one.groups.list(), []);
  const gone = [
    one.groups.delete("team"),
    one.groups.members("team"),
    one.groups.join("team", join1("q")),
    one.groups.update("team", "one", "{}"),
    one.groups.remove("team", "one"),
  ];
  for (const call of gone) await assert.rejects(call, GroupNotCreatedError);
  await assert.rejects(follow(one, "team").stop(), GroupNotCreatedError);
});

test("join() replaces the dead, its own incarnation, and others only when told", async () => {
  await using world = new World();
  const one = await world.open("m", { incarnation: "i" });
  await one.groups.create("team");
  const first = await one.groups.join("team", join1("p1"));
  const again = await world.open("m", { incarnation: "i" });
  await again.groups.join("team", join1("p2"));
  assert.ok(await lost(first.lost) instanceof MemberNotJoinedError);
  const other = await world.open("m");
  await assert.rejects(other.groups.join("team", join1("p3")), MemberAlreadyExistError);
  const taken = await other.groups.join("team", join1("p4", { replace: true }));
  assert.equal(await other.groups.join("team", join1("p4")), taken);
  assert.equal((await one.groups.members("team")).members.get("m")?.presence, "p4");
  await assert.rejects(again.groups.remove("team", "m", "p2"), MemberNotJoinedError);
  await other.close();
  assert.equal((await one.groups.members("team")).members.size, 0);
  await one.groups.join("team", join1("p5"));
});

test("update() and remove() reach the present member only", async () => {
  await using world = new World();
  const [one, two] = [await world.open("one"), await world.open("two")];
  await one.groups.create("team");
  const presence = await one.groups.join("team", join1("p1", { data: '"a"' }));
  const before = (await two.groups.members("team")).members.get("one");
  await one.groups.update("team", "one", '"b"', "p1");
  const after = (await two.groups.members("team")).members.get("one");
  assert.deepEqual([after?.presence, after?.data, after?.joinedAt], ["p1", '"b"', before?.joinedAt]);
  await assert.rejects(one.groups.update("team", "one", '"c"', "p0"), MemberNotJoinedError);
  await assert.rejects(two.groups.update("team", "two", '"c"'), MemberNotJoinedError);
  await one.beat();
  assert.equal(presence.lost.aborted, false);
  await two.groups.remove("team", "one");
  assert.ok(await lost(presence.lost) instanceof MemberNotJoinedError);
  await assert.rejects(two.groups.remove("team", "one"), MemberNotJoinedError);
  const back = await one.groups.join("team", join1("p2"));
  await one.groups.remove("team", "one", "p2");
  await one.beat();
  assert.equal(back.lost.aborted, false);
});

test("watch() tells every change, and that the group is gone", async () => {
  await using world = new World();
  const [one, two] = [await world.open("one"), await world.open("two")];
  await one.groups.create("team");
  const watch = follow(two, "team");
  const sees = (ids: string) =>
    eventually(() => [...watch.seen.at(-1)?.members.keys() ?? []].sort().join() === ids, `sees ${ids}`);
  await eventually(() => watch.seen.length === 1, "the first snapshot");
  await one.groups.join("team", join1("p1"));
  await sees("one");
  await two.groups.join("team", join1("p2"));
  await sees("one,two");
  await one.groups.update("team", "one", "[1]");
  await eventually(() => watch.seen.at(-1)?.members.get("one")?.data === "[1]", "the update");
  await one.close();
  await sees("two");
  await two.groups.remove("team", "two", "p2");
  const three = await world.open("three");
  await three.groups.delete("team");
  await three.groups.create("team");
  await eventually(() => watch.seen.length > 1 && watch.seen.at(-1) === undefined, "the deletion");
  await watch.stop();
  const ended = follow(two, "team");
  await eventually(() => ended.seen.length === 1, "the first snapshot");
  await two.close();
  await assert.rejects(ended.stop(), SessionLostError);
});

test("200 members of 100 kB each are told whole", async () => {
  await using world = new World();
  const watcher = await world.open("watcher");
  await watcher.groups.create("team");
  const watch = follow(watcher, "team");
  const data = JSON.stringify("x".repeat(100_000));
  const start = performance.now();
  for (let i = 0; i < 200; i++) {
    const party = await world.open(`m${i}`);
    await party.groups.join("team", join1(`p${i}`, { data }));
  }
  await eventually(() => watch.seen.at(-1)?.members.size === 200, "all are seen");
  assert.ok(performance.now() - start < 20_000);
  assert.ok([...watch.seen.at(-1)?.members.values() ?? []].every((record) => record.data === data));
  await watch.stop();
});

test("concurrent joins of one id leave one member", async () => {
  await using world = new World();
  const parties = await Promise.all(Array.from({ length: 8 }, () => world.open("same")));
  await parties[0]?.groups.create("team");
  const joins = await Promise.allSettled(
    parties.map((party, i) => party.groups.join("team", join1(`p${i}`))),
  );
  assert.equal(joins.filter(({ status }) => status === "fulfilled").length, 1);
  for (const join of joins) {
    if (join.status === "rejected") assert.ok(join.reason instanceof MemberAlreadyExistError);
  }
});

test("torn and foreign files are no members and no groups, and in nobody's way", async () => {
  await using world = new World();
  const one = await world.open("one");
  await one.groups.create("team");
  const groups = join(world.directory, "test", "g");
  const members = join(groups, "team", "m");
  for (const name of ["README", ".hidden", "x.json"]) fs.writeFileSync(join(members, name), "{}");
  fs.writeFileSync(join(members, `${encodeName("one")}.json`), '{"id":"one","pres');
  fs.mkdirSync(join(members, "folder"));
  fs.writeFileSync(join(groups, "notes"), "mine");
  fs.mkdirSync(join(groups, "lost+found"));
  assert.equal((await one.groups.members("team")).members.size, 0);
  assert.deepEqual(await one.groups.list(), ["team"]);
  await one.groups.join("team", join1("p"));
  assert.deepEqual([...(await one.groups.members("team")).members.keys()], ["one"]);
});

test("the files of dead members do not pile up", async () => {
  await using world = new World();
  const one = await world.open("one");
  await one.groups.create("team");
  await one.groups.join("team", join1("p"));
  const folder = join(world.directory, "test", "g", encodeName("team"), "m");
  const [name = ""] = fs.readdirSync(folder);
  const member: object = JSON.parse(fs.readFileSync(join(folder, name), "utf8"));
  for (let i = 0; i < 40; i++) {
    const id = `dead-${i}`;
    // As a process that was killed leaves it: the file of its session is gone.
    const left = { ...member, id, session: String(i).padStart(24, "0"), presence: id };
    fs.writeFileSync(join(folder, `${encodeName(id)}.json`), JSON.stringify(left));
    if (i < 32) continue;
    const next = await world.open(`next-${i}`);
    await next.groups.join("team", join1(`q-${i}`));
  }
  const there = fs.readdirSync(folder).length;
  assert.ok(there < 32, `${there} files`);
  assert.equal((await one.groups.members("team")).members.size, 9);
});
