import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CapacityError, ConnectionError } from "../../core/errors.ts";
import type { Opener } from "../../driver.ts";
import { zookeeper } from "../../drivers/zookeeper.ts";
import { SessionGone } from "../../internal/tree/store.ts";
import { getCoordinator } from "../../mod.ts";
import { findZooKeeper, startZooKeeper } from "../servers/zookeeper.ts";
import { entry, NEVER, type Party, startWorld, until } from "./zookeeper_world.ts";

const OPTIONS = { skip: !findZooKeeper(), timeout: 60_000 };
const LOCK = { kind: "lock", name: "l" } as const;
const LINE = "/test/locks/l";

test("zookeeper() refuses what it cannot use, without credentials in the message", () => {
  const refused: [string, RegExp][] = [
    ["http://x", /want scheme "zookeeper:" or "kazoo:"/],
    ["zookeeper://:secret@a", /for a user, and there is none/],
    ["zookeeper://a?acl=user", /for a user, and there is none/],
    ["zookeeper://u%3Ax:secret@a", /no ":"/],
    ["zookeeper://a?chroot=1", /no option|none of that name/],
    ["zookeeper://a:99999", /not host:port/],
  ];
  for (const [url, message] of refused) {
    assert.throws(
      () => zookeeper(url),
      (error: Error) => message.test(error.message) && !/secret/.test(error.message),
    );
  }
  // What the types refuse too.
  assert.throws(() => zookeeper("zookeeper://a", { usr: "u" } as never), /did you mean "user"/);
  for (
    const url of ["kazoo://a,b:1,[::1]:2/app?ttl=5000&namespace=jobs", "zookeeper:?ttl=5000&namespace=jobs"]
  ) {
    const { defaults, driver } = zookeeper(url) as Opener;
    assert.deepEqual({ defaults, driver }, {
      defaults: { ttl: 5000, namespace: "jobs" },
      driver: "zookeeper",
    });
  }
});

test("a token is the transaction that made the entry, also while others write", OPTIONS, async () => {
  await using world = await startWorld();
  const [a, b] = [await world.open(), await world.open()];
  const taken = await Promise.all(Array.from({ length: 100 }, async (_, i) => {
    const store = i % 2 ? a : b;
    const { place } = await store.line({ kind: "lock", name: `l${i}` }).enter(entry(), false);
    return place;
  }));
  for (const { path, token } of taken) {
    assert.equal((await world.stat(path))?.czxid.readBigInt64BE(), token);
  }
  assert.equal(new Set(taken.map(({ token }) => token)).size, taken.length);
});

test("an entry is a node of its session, which is gone when that ends", OPTIONS, async () => {
  await using world = await startWorld();
  const a = await world.open({ ttl: 2000 });
  const { place } = await a.line(LOCK).enter(entry(), false);
  assert.equal((await world.stat(place.path))?.ephemeralOwner.readBigInt64BE(), a.connection.owner);
  assert.deepEqual([...await a.owned([place.path, `${LINE}/none`, LINE])], [place.path]);
  assert.deepEqual([...await (await world.open()).owned([place.path])], []);
  a.destroy();
  await until(async () => await world.stat(place.path) === null, "the node is gone");
});

test("a wait watches its predecessor alone; a reader's is the last writer", OPTIONS, async () => {
  await using world = await startWorld();
  const [a, b] = [await world.open(), await world.open()];
  const modes = ["exclusive", "exclusive", "shared", "shared", "shared", "exclusive"] as const;
  const waits: { line: typeof line; place: { path: string; token: bigint }; own: typeof first }[] = [];
  const [line, first] = [a.line(LOCK), entry()];
  const ahead: (string | undefined)[] = [];
  const woken: number[] = [];
  for (const [i, mode] of modes.entries()) {
    const own = i === 0 ? first : entry({ mode });
    const standing = await (i % 2 ? b : a).line(LOCK).enter(own, false);
    waits.push({ line, place: standing.place, own });
    ahead.push(standing.ahead);
    if (standing.ahead === undefined) continue;
    void (i % 2 ? b : a).line(LOCK).changed(standing.ahead, standing.at, NEVER)
      .then(() => woken.push(i), () => {});
  }
  const path = (i: number) => waits[i]?.place.path;
  assert.deepEqual(ahead, [undefined, path(0), path(1), path(1), path(1), path(4)]);
  // The two readers of one session share a watch.
  await until(async () => await world.watches() === 4, "all watch");
  assert.equal(await world.watchedNodes(), 3);
  assert.equal(await line.leave(first, waits[0]?.place), true);
  await until(() => woken.length > 0, "the next one is woken");
  await a.renew();
  await b.renew();
  assert.deepEqual(woken, [1]);
  assert.equal(await world.watches(), 3);
});

test("waits that are aborted leave one watch, not one each", OPTIONS, async () => {
  await using world = await startWorld();
  const [a, b] = [await world.open(), await world.open()];
  const held = await a.line(LOCK).enter(entry(), false);
  for (let i = 0; i < 50; i++) {
    const stop = new AbortController();
    const wait = b.line(LOCK).changed(held.place.path, held.at, stop.signal);
    setTimeout(() => stop.abort(new Error("enough")), i % 5);
    await assert.rejects(wait, /enough/);
  }
  assert.equal(await world.watches(), 1);
  const wait = b.line(LOCK).changed(held.place.path, held.at, NEVER);
  await a.line(LOCK).remove(held.place);
  await wait;
  assert.equal(await world.watches(), 0);
});

test("changed() hears of a line that is still to come, and of one that has gone", OPTIONS, async () => {
  await using world = await startWorld();
  const [a, b] = [await world.open(), await world.open()];
  const empty = await b.line(LOCK).list();
  assert.deepEqual(empty.entries, []);
  const coming = b.line(LOCK).changed(undefined, empty.at, NEVER);
  await until(async () => await world.watches() === 1, "it watches");
  const own = entry({ value: "v" });
  const { place } = await a.line(LOCK).enter(own, false);
  await coming;
  const full = await b.line(LOCK).list();
  assert.deepEqual(full.entries, [{ id: own.id, mode: "exclusive", value: "v", ...place }]);
  await a.line(LOCK).leave(own, place);
  assert.equal(await world.remove(LINE), true);
  await b.line(LOCK).changed(undefined, full.at, NEVER);
  await b.line(LOCK).changed(place.path, full.at, NEVER);
});

test("directories are gone when their last user ends", OPTIONS, async () => {
  await using world = await startWorld();
  const [a, b] = [await world.open(), await world.open()];
  const own = entry();
  const { place } = await a.line(LOCK).enter(own, false);
  await b.line(LOCK).enter(entry(), false);
  await a.line({ kind: "election", name: "l" }).enter(entry(), false);
  assert.equal(await a.line(LOCK).leave(own, place), true);
  await a.end();
  assert.equal((await world.children(LINE)).length, 1);
  assert.equal(await world.stat("/test/elections/l"), null);
  await b.end();
  assert.equal(await world.stat(LINE), null);
});

test("directories whose users died are removed by the server", OPTIONS, async () => {
  // Else it looks for them once a minute.
  process.env.JAVA_TOOL_OPTIONS = "-Dznode.container.checkIntervalMs=100";
  await using world = await startWorld().finally(() => delete process.env.JAVA_TOOL_OPTIONS);
  const [a, b] = [await world.open({ ttl: 1000 }), await world.open()];
  await a.line(LOCK).enter(entry(), false);
  await a.groups.create("g", "one");
  a.destroy();
  await until(async () => await world.stat("/test/locks") === null, "they are gone");
  assert.deepEqual(await b.groups.list(), ["g"]);
  assert.equal((await b.line(LOCK).enter(entry(), false)).ahead, undefined);
});

test("enter() makes its directory again as often as it is removed", OPTIONS, async () => {
  await using world = await startWorld();
  const parties = [await world.open(), await world.open()];
  let [removed, isOver, top] = [0, false, 0n];
  const rival = (async () => {
    while (!isOver) {
      for (const path of [LINE, "/test/locks", "/test"]) if (await world.remove(path)) removed++;
    }
  })();
  const work = async (party: Party) => {
    for (let i = 0; i < 100; i++) {
      const [line, own] = [party.line(LOCK), entry()];
      const standing = await line.enter(own, false);
      if (standing.ahead !== undefined) await line.changed(standing.ahead, standing.at, NEVER);
      assert.equal((await line.look(own, standing.place))?.ahead, undefined);
      assert.ok(standing.place.token > top, "tokens grow");
      top = standing.place.token;
      assert.equal(await line.leave(own, standing.place), true);
      // So that nobody is in the line at times.
      await sleep(Math.random() * 5);
    }
  };
  await Promise.all(parties.map(work)).finally(() => isOver = true);
  await rival;
  assert.ok(removed > 10, `${removed} removed`);
});

test(
  "a member that was seen is not taken for its successor, which has the same version",
  OPTIONS,
  async () => {
    await using world = await startWorld();
    const [{ groups }, other] = [await world.open(), await world.open()];
    const see = async () =>
      (await groups.read("g", "m"))?.members.get("m") ?? assert.fail("there is no member");
    assert.equal(await groups.create("g", "one"), true);
    assert.equal(await groups.put("g", "m", "1", undefined), true);
    const first = await see();
    assert.equal(await groups.put("g", "m", "2", undefined), false);
    assert.equal(await other.groups.put("g", "m", "2", first), true);
    const second = await see();
    assert.notEqual(second.version, first.version);
    const stale = async () => [
      await groups.put("g", "m", "x", first),
      await groups.amend("g", "m", "x", first),
      await groups.remove("g", "m", first),
    ];
    assert.deepEqual(await stale(), [false, false, false]);
    // Version 0 again, of the same node this time.
    assert.equal(await groups.amend("g", "m", "3", second), true);
    assert.deepEqual(
      [await groups.amend("g", "m", "x", second), await groups.remove("g", "m", second)],
      [false, false],
    );
    assert.equal((await see()).value, "3");
    assert.deepEqual([...await other.owned([groups.path("g", "m")])], [groups.path("g", "m")]);
    assert.equal(await groups.remove("g", "m", await see()), true);
    assert.deepEqual(await world.children("/test/groups/g"), ["by:one"]);
  },
);

test("a group that was seen is not taken for its successor", OPTIONS, async () => {
  await using world = await startWorld();
  const { groups } = await world.open();
  const read = async () => await groups.read("g") ?? assert.fail("there is no group");
  await groups.create("g", "one");
  const first = await read();
  assert.equal(await groups.create("g", "two"), false);
  assert.equal(await groups.delete("g", first), true);
  assert.equal(await groups.create("g", "two"), true);
  assert.equal(await groups.delete("g", first), false);
  const second = await read();
  assert.deepEqual([first.by, second.by], ["one", "two"]);
  await groups.put("g", "m", "v", undefined);
  assert.equal(await groups.delete("g", second), false);
  assert.deepEqual(await groups.list(), ["g"]);
});

test("a member is gone, and its id free, when an operator has removed its value alone", OPTIONS, async () => {
  await using world = await startWorld();
  const [one, two] = [await world.open(), await world.open()];
  await one.groups.create("g", "one");
  assert.equal(await one.groups.put("g", "m", "v", undefined), true);
  const path = one.groups.path("g", "m");
  assert.deepEqual([...await one.owned([path])], [path]);
  const [value] = (await world.children("/test/groups/g")).filter((name) => name.startsWith("of:"));
  assert.ok(await world.remove(`/test/groups/g/${value}`));
  assert.deepEqual([...await one.owned([path])], []);
  assert.equal(await two.groups.put("g", "m", "w", undefined), true);
  assert.equal((await one.groups.read("g"))?.members.get("m")?.value, "w");
  assert.deepEqual([...await one.owned([path])], []);
  assert.deepEqual([...await two.owned([path])], [path]);
  assert.equal(await one.groups.put("g", "m", "v", undefined), false);
});

test("a group's watch hears of members that come, change and go, by one watch", OPTIONS, async () => {
  await using world = await startWorld();
  const [{ groups }, b, c] = [await world.open(), await world.open(), await world.open()];
  await groups.create("g", "one");
  const read = async () => await groups.read("g") ?? assert.fail("there is no group");
  const changes = [
    () => b.groups.put("g", "m:1/2", "v", undefined),
    async () => await c.groups.amend("g", "m:1/2", "w", (await read()).members.get("m:1/2") ?? assert.fail()),
    async () => {
      await b.end();
      return true;
    },
  ];
  for (const change of changes) {
    let isHeard = false;
    const heard = groups.changed("g", (await read()).at, NEVER).then(() => isHeard = true);
    await until(async () => await world.watches() === 1, "one watch");
    assert.equal(await change(), true);
    await until(() => isHeard, "it is heard of");
    await heard;
  }
  assert.equal((await read()).members.size, 0);
});

test("what is too large is refused, and the connection stays", OPTIONS, async () => {
  await using world = await startWorld();
  const a = await world.open();
  const large = "x".repeat(1_048_000);
  await a.groups.create("g", "one");
  await assert.rejects(a.line(LOCK).enter(entry({ value: large + large }), false), CapacityError);
  await assert.rejects(
    a.groups.put("g", "m", large, undefined).then(() =>
      a.groups.put("g", "n", `${large}${"x".repeat(999)}`, undefined)
    ),
    CapacityError,
  );
  const fits = entry({ value: large });
  const { place } = await a.line(LOCK).enter(fits, false);
  assert.equal((await a.line(LOCK).list()).entries[0]?.value.length, large.length);
  assert.equal(await a.line(LOCK).amend(place, "é".repeat(520_000)), true);
  await assert.rejects(a.line(LOCK).amend(place, "é".repeat(530_000)), CapacityError);
  assert.deepEqual(a.broken, []);
});

test("a chroot is made when it is missing, and nothing stands beside it", OPTIONS, async () => {
  await using world = await startWorld();
  const a = await world.open({ chroot: "/app/one" });
  assert.deepEqual([await a.groups.list(), (await a.line(LOCK).list()).entries], [[], []]);
  const { place } = await a.line(LOCK).enter(entry(), false);
  assert.match(place.path, /^\/app\/one\/test\/locks\/l\/e/);
  assert.equal(await a.groups.create("g", "one"), true);
  assert.deepEqual((await world.children("/")).sort(), ["app", "zookeeper"]);
  assert.equal((await world.stat("/app/one"))?.ephemeralOwner.readBigInt64BE(), 0n);
  const url = `kazoo://127.0.0.1:${world.server.port}/app/o%6ee?namespace=test`;
  const opener = zookeeper(url) as Opener; // What the factory makes is an opener to those who know.
  const session = await opener.open({
    memberId: "m",
    incarnation: "i",
    namespace: "test",
    ttl: 2000,
    timeout: 1000,
    signal: NEVER,
    longest: 10_000,
    note: () => {},
  });
  assert.deepEqual(await session.groups.list(), ["g"]);
  await session.close();
});

test("a session that the server ended is SessionGone, for ever", OPTIONS, async () => {
  await using world = await startWorld();
  const a = await world.open();
  await a.connection.run((link) => link.endSession());
  await until(() => a.broken.length === 1, "it hears that the connection is closed");
  await assert.rejects(a.renew(), SessionGone);
  await assert.rejects(a.line(LOCK).enter(entry(), false), SessionGone);
});

test(
  "a server that is too old is refused, and the version that is wanted is named",
  { ...OPTIONS, skip: !findZooKeeper("bullseye") },
  async () => {
    await using server = await startZooKeeper({ suite: "bullseye" });
    await using coord = await getCoordinator(server.url);
    await assert.rejects(coord.lock("l").acquire(), {
      name: "ConnectionError",
      message: /it is too old: want ZooKeeper 3\.5 or later/,
    });
  },
);

test("open() rejects with ConnectionError where nobody listens", OPTIONS, async () => {
  const opener = zookeeper("zookeeper://127.0.0.1:1,127.0.0.1:2") as Opener;
  const opening = opener.open({
    memberId: "m",
    incarnation: "i",
    namespace: "test",
    ttl: 2000,
    timeout: 1000,
    signal: NEVER,
    longest: 10_000,
    note: () => {},
  });
  await assert.rejects(opening, (error: Error) => {
    assert.ok(error instanceof ConnectionError, String(error));
    assert.match(error.message, /Cannot reach zookeeper: .*(ECONNREFUSED|refused)/);
    return true;
  });
});
