import assert from "node:assert/strict";
import { test } from "node:test";
import { escapePart, unescapePart } from "../../drivers/consul/keys.ts";
import { Interrupted, SessionGone } from "../../internal/tree/store.ts";
import { getCoordinator } from "../../mod.ts";
import { after, elapse, eventually, within } from "../conformance/waiting.ts";
import { findBinary } from "../servers/binaries.ts";
import { startConsul } from "../servers/consul.ts";
import { LOCK, NEVER, newEntry, startWorld } from "./consul_world.ts";

const OPTIONS = { skip: !findBinary("consul"), timeout: 60_000 };

/** How long it is watched that something does not happen, in ms. */
const QUIET = 300;

const NAMES = [
  ".",
  "..",
  "%",
  "%2E",
  "a/b",
  "a%2Fb",
  "//",
  "ä🎈\n",
  "?x=1#y",
  "{key}",
  "+ &",
  "é".repeat(512),
];

test("consul: and consul+https: are both its schemes [C34]", OPTIONS, async () => {
  await using plain = await startConsul();
  await using secure = await startConsul({ tls: true });
  assert.match(secure.url, /^consul\+https:/);
  for (const { url } of [plain, secure]) {
    await using coord = await getCoordinator(url);
    await using lease = await coord.lock("l").acquire();
    assert.equal(coord.driver, "consul");
    assert.equal(await lease.isHeld(), true);
  }
});

test("escapePart() keeps parts of keys apart, and is undone", () => {
  assert.equal(new Set(NAMES.map(escapePart)).size, NAMES.length);
  for (const name of NAMES) {
    assert.match(escapePart(name), /^(?!\.\.?$)[^/]+$/);
    assert.equal(unescapePart(escapePart(name)), name);
  }
  for (const foreign of ["%", "%zz", "a b", "%2e"]) assert.equal(unescapePart(foreign), undefined);
});

test("locks, groups and members of all names work and stay apart", OPTIONS, async () => {
  await using world = await startWorld();
  const store = await world.open();
  for (const name of NAMES) {
    const line = store.line({ kind: "lock", name });
    const { place, ahead } = await line.enter(newEntry());
    assert.equal(ahead, undefined);
    const { entries, at } = await line.list();
    assert.deepEqual(entries.map(({ path }) => path), [place.path]);
    const changed = line.changed(place.path, at, NEVER);
    assert.equal(await line.amend(place, "ü"), true);
    await within(changed, "the change is seen");
    assert.equal(await store.groups.create(name, "by"), true);
    assert.equal(await store.groups.put(name, name, "value", undefined), true);
  }
  assert.deepEqual((await store.groups.list()).sort(), [...NAMES].sort());
  for (const name of NAMES) {
    const all = await store.groups.read(name);
    assert.deepEqual([...all?.members.keys() ?? []], [name]);
    assert.deepEqual(await store.groups.read(name, name), { ...all, at: "" });
    assert.equal((await store.groups.read(name, "nobody"))?.members.size, 0);
    assert.deepEqual([...await store.owned([store.groups.path(name, name)])].length, 1);
  }
});

test("a release wakes the next in line alone, with one request", OPTIONS, async () => {
  await using world = await startWorld();
  const holder = await world.open();
  const held = newEntry();
  await holder.line(LOCK).enter(held);
  const waiters = [];
  for (const mode of ["exclusive", "shared", "exclusive"] as const) {
    const { store, proxy } = await world.proxied();
    const standing = await store.line(LOCK).enter(newEntry({ mode }));
    waiters.push({ proxy, standing, changed: store.line(LOCK).changed(standing.ahead, standing.at, NEVER) });
  }
  const [one, two, three] = waiters;
  assert.ok(one && two && three);
  assert.equal(two.standing.ahead, one.standing.place.path);
  assert.equal(three.standing.ahead, two.standing.place.path);
  for (const { proxy, changed } of waiters) {
    // One for the session, one for the entry, and one that waits.
    await eventually(() => proxy.traffic.connections === 3 && proxy.open === 1);
    changed.catch(() => {}); // They end with the world.
  }
  const before = waiters.map(({ proxy }) => proxy.traffic.connections);
  assert.equal(await holder.line(LOCK).leave(held), true);
  await within(one.changed, "the next in line hears of it");
  assert.equal(await after(QUIET, Promise.race([two.changed, three.changed])), "pending");
  assert.deepEqual(waiters.map(({ proxy }) => proxy.traffic.connections), before);
});

test("hundreds of waits need few connections, and each hears of its own change", OPTIONS, async () => {
  await using world = await startWorld();
  const holder = await world.open();
  const { store, proxy } = await world.proxied({ limit: 10_000 });
  const names = Array.from({ length: 200 }, (_, i) => `l${i}`);
  const heard = new Set<string>();
  const stop = new AbortController();
  const ended: Promise<unknown>[] = [];
  const held = new Map<string, () => Promise<boolean>>();
  for (const name of names) {
    const [line, entry] = [holder.line({ kind: "lock", name }), newEntry()];
    await line.enter(entry);
    held.set(name, () => line.leave(entry));
    const own = store.line({ kind: "lock", name });
    const { ahead, at } = await own.enter(newEntry());
    ended.push(own.changed(ahead, at, stop.signal).then(() => heard.add(name), (error) => error));
  }
  await eventually(() => proxy.open === 65);
  for (const name of ["l0", "l63", "l64", "l199"]) {
    assert.equal(await held.get(name)?.(), true);
    await eventually(() => heard.has(name));
  }
  assert.deepEqual([...heard], ["l0", "l63", "l64", "l199"]);
  await Promise.all(names.slice(100, 150).map((name) => held.get(name)?.()));
  await eventually(() => heard.size === 54);
  // One that comes when the change was made already.
  const { at } = await store.line({ kind: "lock", name: "l1" }).list();
  assert.equal(await held.get("l1")?.(), true);
  await within(
    store.line({ kind: "lock", name: "l1" }).changed("test/locks/l1/none", at, NEVER),
    "it is told",
  );
  await eventually(() => heard.size === 55);
  stop.abort(new Error("enough"));
  const reasons = (await Promise.all(ended)).filter((end) => end === stop.signal.reason);
  assert.equal(reasons.length, 200 - 55);
});

test("a reader waits for the last writer before it, a writer for whoever is before it", OPTIONS, async () => {
  await using world = await startWorld();
  const line = (await world.open()).line(LOCK);
  const standings = [];
  for (const mode of ["shared", "exclusive", "shared", "shared", "exclusive"] as const) {
    standings.push(await line.enter(newEntry({ mode })));
  }
  const paths = standings.map(({ place }) => place.path);
  const ahead = standings.map((standing) => paths.indexOf(standing.ahead ?? ""));
  assert.deepEqual(ahead, [-1, 0, 1, 1, 3]);
  const tokens = standings.map(({ place }) => place.token);
  assert.deepEqual(tokens, tokens.toSorted((a, b) => a < b ? -1 : 1));
});

test("enter() whose answer was lost is found again, in its place", OPTIONS, async () => {
  await using world = await startWorld();
  const { store, proxy } = await world.proxied();
  const [entry, late] = [newEntry(), newEntry()];
  const line = store.line(LOCK);
  const dropped = proxy.dropAnswer({ to: "/v1/txn" });
  await assert.rejects(line.enter(entry), Interrupted);
  await dropped;
  const { place: behind } = await line.enter(late);
  const { place, ahead } = await line.enter(entry);
  assert.equal(ahead, undefined);
  assert.ok(place.token < behind.token);
  assert.deepEqual((await line.list()).entries.map(({ id }) => id), [entry.id, late.id]);
  proxy.dropAnswer({ to: "/v1/txn" });
  await assert.rejects(line.leave(entry), Interrupted);
  assert.equal(await line.leave(entry), false);
});

test(
  "an entry that an operator unlocks is gone, for its own session too, and made again behind others",
  OPTIONS,
  async () => {
    await using world = await startWorld();
    const [one, two] = [await world.open(), await world.open()];
    const [entry, other] = [newEntry(), newEntry()];
    const { place } = await one.line(LOCK).enter(entry);
    const [{ Session }] = (await world.ask(`/kv/${place.path}`)).body as [{ Session: string }];
    const unlock = `http://127.0.0.1:${world.server.port}/v1/kv/${place.path}?release=${Session}`;
    assert.equal(await (await fetch(unlock, { method: "PUT" })).text(), "true");
    const next = await two.line(LOCK).enter(other);
    assert.equal(next.ahead, undefined);
    assert.equal(await one.line(LOCK).look(entry), undefined);
    const again = await one.line(LOCK).enter(entry);
    assert.equal(again.ahead, next.place.path);
    assert.ok(again.place.token > next.place.token);
    assert.deepEqual(await one.line(LOCK).enter(entry), again);
  },
);

test("the server is asked for half the ttl, for its minimum, or the error names that", OPTIONS, async () => {
  await using world = await startWorld();
  assert.equal((await world.open({ ttl: 5_001 })).ttl, 2_500);
  assert.equal((await world.open({ ttl: 1_200 })).ttl, 1_000);
  assert.equal((await world.open({ ttl: 10 ** 12 })).ttl, 24 * 60 * 60 * 1000);
  await assert.rejects(world.open({ ttl: 999 }), (error: Error) => {
    return error instanceof RangeError && /"ttl": want 1000 ms or more .* got 999/.test(error.message);
  });
});

test("a dead session ends after its ttl, and at most twice that, and tells", OPTIONS, async () => {
  await using world = await startWorld();
  const [store, other] = [await world.open({ ttl: 2_400 }), await world.open()];
  const { place } = await store.line(LOCK).enter(newEntry());
  const { ahead, at } = await other.line(LOCK).enter(newEntry());
  await elapse(500);
  const start = performance.now();
  await store.renew();
  await within(other.line(LOCK).changed(ahead, at, NEVER), "the dead one is removed");
  const lived = performance.now() - start;
  assert.ok(lived >= store.ttl && lived < 2_400 + 1_500, `${lived} ms`);
  await assert.rejects(store.renew(), SessionGone);
  await assert.rejects(store.line(LOCK).enter(newEntry()), SessionGone);
  assert.deepEqual(await store.owned([place.path]), new Set());
  assert.equal(await store.line(LOCK).leave(newEntry(), place), false);
});

test("with a lockDelay the holder gives up that much before the server can", OPTIONS, async () => {
  await using world = await startWorld();
  const store = await world.open({ ttl: 4_000, lockDelay: 1_500 });
  assert.equal(store.ttl, 500);
  const start = performance.now();
  const { place } = await store.line(LOCK).enter(newEntry());
  await eventually(async () => (await store.owned([place.path])).size === 0);
  assert.ok(performance.now() - start >= store.ttl + 1_500);
  await assert.rejects(
    world.open({ ttl: 4_000, lockDelay: 2_000 }),
    /"lockDelay": want less than .* 2000 ms/,
  );
});

test("owned() tells what is there and ours, of hundreds, in parallel requests", OPTIONS, async () => {
  await using world = await startWorld();
  const { store, proxy } = await world.proxied();
  const other = await world.open();
  const paths: string[] = [];
  for (let i = 0; i < 5; i++) {
    const names = Array.from({ length: 40 }, (_, n) => `l${i * 40 + n}`);
    const entered = names.map((name) => store.line({ kind: "lock", name }).enter(newEntry()));
    for (const { place } of await Promise.all(entered)) paths.push(place.path);
  }
  const foreign = await other.line(LOCK).enter(newEntry());
  const [gone = "", broken = ""] = [paths[3], paths[150]];
  for (const path of [gone, broken]) assert.equal(await other.line(LOCK).remove({ path, token: 0n }), true);
  assert.equal(await other.line(LOCK).remove({ path: gone, token: 0n }), false);
  const before = proxy.traffic.connections;
  const owned = await store.owned([...paths, foreign.place.path, "nothing/such"]);
  assert.equal(proxy.traffic.connections - before, 4);
  assert.deepEqual(owned, new Set(paths.filter((path) => path !== gone && path !== broken)));
  assert.deepEqual(await store.owned([]), new Set());
});
