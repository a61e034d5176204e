import assert from "node:assert/strict";
import { test } from "node:test";
import { memcached } from "../../drivers/memcached.ts";
import { Parser } from "../../drivers/memcached/answers.ts";
import { Keys, place } from "../../drivers/memcached/keys.ts";
import { LinePace } from "../../drivers/memcached/pace.ts";
import { CapacityError, ConnectionError, getCoordinator } from "../../mod.ts";
import { elapse, eventually, failure, within } from "../conformance/waiting.ts";
import { findBinary } from "../servers/binaries.ts";
import { NAMESPACE, startWorld } from "./memcached_world.ts";

const OPTIONS = { skip: !findBinary("memcached"), timeout: 60_000 };

const NAMES = ["a/b", "a%2Fb", "ä🎈\n", " ", "#", "a".repeat(300), `${"a".repeat(300)}b`, "é".repeat(512)];

test("Keys keep names and worlds apart, and are short enough", () => {
  const [keys, others] = [new Keys("one"), new Keys("one/locks")];
  const all = NAMES.flatMap((name) => [
    keys.line({ kind: "lock", name }),
    keys.line({ kind: "election", name }),
    keys.group(name),
    keys.session(name),
    others.line({ kind: "lock", name }),
  ]);
  assert.equal(new Set(all).size, all.length);
  for (const key of all) assert.match(key, /^[!-~]{1,250}$/);
});

test("place() is the same in any order of the servers, and spreads the keys", () => {
  const servers = ["a:1", "b:1", "c:1"];
  const counts = new Map<string | undefined, number>();
  for (let i = 0; i < 300; i++) {
    const chosen = servers[place(`key-${i}`, servers)];
    assert.equal(["c:1", "a:1", "b:1"][place(`key-${i}`, ["c:1", "a:1", "b:1"])], chosen);
    counts.set(chosen, (counts.get(chosen) ?? 0) + 1);
    const fewer = servers.filter((server) => server !== "b:1");
    if (chosen !== "b:1") assert.equal(fewer[place(`key-${i}`, fewer)], chosen, "only the keys of b move");
  }
  for (const server of servers) assert.ok((counts.get(server) ?? 0) > 50, `${server} has its part`);
});

test("Parser understands answers however they are cut", () => {
  const bytes = new TextEncoder().encode(
    "HD c7\r\nVA 6 c12\r\nä\r\nb!\r\nEN\r\nSTAT pid 1\r\nSTAT v a b\r\nEND\r\nERROR x\r\n",
  );
  const wanted = ["HD 7 ", "VA 12 ä\r\nb!", "EN  ", "pid=1 v=a b", "ERROR x"];
  for (let size = 1; size <= bytes.length; size++) {
    const got: string[] = [];
    const parser = new Parser({
      answer: ({ code, cas, value }) => got.push(`${code} ${cas} ${value}`),
      refusal: (line) => got.push(line),
      stats: (lines) => got.push([...lines].map((line) => line.join("=")).join(" ")),
    });
    for (let at = 0; at < bytes.length; at += size) parser.feed(bytes.slice(at, at + size));
    assert.deepEqual(got, wanted, `${size} bytes a time`);
  }
});

test("LinePace asks seldom while a lock is held long, and those behind more seldom", () => {
  let now = 0;
  const clock = { now: () => now, wall: () => now, after: () => () => {} };
  const asked = (place: number) => {
    const pace = new LinePace(clock);
    let times = 0;
    for (const end = now + 20_000; now < end; times++) now += pace.pause(place);
    return times / 20;
  };
  const [next, ...behind] = [0, 1, 2, 3, 4, 5, 6].map(asked);
  assert.ok(next !== undefined && next < 60, `${next} a second`);
  for (const often of behind) assert.ok(often < 8, `${often} a second`);
});

test("memcached() refuses what it cannot use", () => {
  for (
    const [url, why] of [
      ["redis://h", /want scheme/],
      ["memcached://:secret@h", /user and password together/],
      ["memcached://a%20b:secret@h", /no spaces/],
      ["memcached://h/path", /has no path/],
      ["memcached://h?ttk=1", /did you mean "ttl"/],
    ] as const
  ) {
    assert.throws(
      () => memcached(url),
      (error: Error) => why.test(error.message) && !error.message.includes("secret"),
    );
  }
});

test("locks and groups of all names work", OPTIONS, async () => {
  await using world = await startWorld();
  const [one, two] = [await world.open(), await world.open()];
  const held = await Promise.all(NAMES.map((name) => one.lock(name).acquire()));
  for (const name of NAMES) {
    assert.equal(await two.lock(name).tryAcquire(), undefined);
    assert.ok(await two.election(name).tryCampaign());
    await one.group(name).join({ name }, { create: true });
  }
  assert.deepEqual((await two.groups()).sort(), [...NAMES].sort());
  for (const lease of held) assert.equal(await lease.release(), true);
});

test("what is too large is refused, and nothing is lost by that", OPTIONS, async () => {
  await using world = await startWorld();
  const [one, two] = [await world.open({ memberId: "one" }), await world.open({ memberId: "two" })];
  const group = one.group("g");
  const membership = await group.join({ small: true }, { create: true });
  const large = { text: "x".repeat(1_100_000) };
  const refused = await failure(two.group("g").join(large));
  assert.ok(refused instanceof CapacityError && /bytes/.test(refused.message), String(refused));
  assert.ok(await failure(membership.update(large)) instanceof CapacityError);
  assert.deepEqual([...(await group.members()).keys()], ["one"]);
  assert.equal(membership.signal.aborted, false);
});

test(
  "a server without versions of items is refused, and one that deletes what it cannot replace",
  OPTIONS,
  async () => {
    for (const option of ["-C", "-M"]) {
      await using world = await startWorld({ args: [option] });
      const refused = await failure(getCoordinator(world.url, { ttl: 1_500 }));
      assert.ok(refused instanceof ConnectionError, String(refused));
      assert.ok(refused.message.includes(`started with ${option}`), refused.message);
    }
  },
);

test("a server that has just started grants no session yet", OPTIONS, async () => {
  await using world = await startWorld();
  await world.server.kill();
  const starting = world.server.start();
  const coordinator = await eventually(() => world.open({ ttl: 30_000 }), 20_000);
  await using _ = coordinator;
  const { stats } = await world.operate(async (link) => ({ stats: await link.stats() }));
  assert.ok(Number(stats.get("uptime")) >= 4);
  await starting;
});

test("renewing 1,000 leases is not 1,000 requests", OPTIONS, async () => {
  await using world = await startWorld();
  const coordinator = await world.open({ heartbeat: "manual", ttl: 30_000 });
  const locks = Array.from({ length: 1_000 }, (_, i) => coordinator.lock(`lock-${i}`));
  const leases = await Promise.all(locks.map((lock) => lock.acquire()));
  // The first has seen no district yet.
  await coordinator.heartbeat();
  const before = await world.requests();
  await coordinator.heartbeat();
  assert.ok(await world.requests() - before < 200, `${await world.requests() - before} requests`);
  assert.ok(leases.every(({ signal }) => !signal.aborted));
});

test("many waiters of a lock that is held long ask little", OPTIONS, async () => {
  await using world = await startWorld();
  const [holder, ...others] = await Promise.all(Array.from({ length: 9 }, () => world.open({ ttl: 30_000 })));
  assert.ok(holder);
  const lease = await holder.lock("l").acquire();
  const waits = others.map((other) => other.lock("l").use(() => {}));
  // The last token, the holder and eight that wait.
  const line = async () => JSON.parse(await world.item(`${NAMESPACE}/locks/l`) ?? "[]");
  await eventually(async () => (await line()).length === 10);
  // They pause ever longer, up to a bound.
  await elapse(1_000);
  const [before, start] = [await world.requests(), performance.now()];
  await elapse(3_000);
  const each = (await world.requests() - before) / (performance.now() - start) * 1_000;
  assert.ok(each <= 100, `${Math.round(each)} requests a second`);
  await lease.release();
  await within(Promise.all(waits), "all had their turn");
});
