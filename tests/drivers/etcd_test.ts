import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { networkInterfaces } from "node:os";
import { test } from "node:test";
import { Etcd3 } from "etcd3";
import { CapacityError, ConnectionError, SessionLostError } from "../../core/errors.ts";
import type { Opener } from "../../driver.ts";
import { etcd } from "../../drivers/etcd.ts";
import { escape, unescape } from "../../drivers/etcd/keys.ts";
import { EtcdStore } from "../../drivers/etcd/store.ts";
import { systemClock } from "../../internal/clock.ts";
import type { TreeSession } from "../../internal/tree/session.ts";
import { Interrupted, SessionGone, type StoreOptions } from "../../internal/tree/store.ts";
import { getCoordinator } from "../../mod.ts";
import { after, eventually, within } from "../conformance/waiting.ts";
import { collectGarbage } from "../processes/garbage.ts";
import { findBinary, requireBinary } from "../servers/binaries.ts";
import { protect, startEtcd } from "../servers/etcd.ts";
import { Proxy, startProxy } from "../servers/proxy.ts";
import { diesWithUs } from "../servers/process_tree.ts";
import { NOBODY } from "./nobody.ts";

/** Whether this machine has the address `::1`. */
const HAS_IPV6 = Object.values(networkInterfaces()).some((all) =>
  all?.some(({ address }) => address === "::1")
);

const OPTIONS = { skip: !findBinary("etcd"), timeout: 60_000 };
const TOOL = { ...OPTIONS, skip: !findBinary("etcdctl") };

/** How long it is watched that something does not happen, in ms. */
const QUIET = 300;

test("etcd() refuses what it cannot use, without credentials in the message", () => {
  const refused: [string, RegExp][] = [
    ["http://x", /want scheme "etcd:"/],

    ["etcd://:secret@a", /want a "user"/],
    ["etcd://a/path", /use option "namespace"/],
    ["etcd://a?lockprefix=x", /did you mean "lockPrefix"/],
    ["etcd://a?lockPrefix=&electionPrefix=", /locks and elections would meet/],
  ];
  for (const [url, message] of refused) {
    assert.throws(
      () => etcd(url),
      (error: Error) =>
        error instanceof TypeError && message.test(error.message) && !/secret/.test(error.message),
    );
  }
  for (const scheme of ["etcd", "etcd3", "etcd3+http"]) {
    const { defaults, driver } = etcd(`${scheme}://a,b:1?ttl=5000&namespace=jobs`) as Opener;
    assert.deepEqual({ defaults, driver }, { defaults: { ttl: 5000, namespace: "jobs" }, driver: "etcd" });
  }
});

test("etcd:, etcd3:, etcd3+http: and etcd3+https: are all its schemes [C33]", OPTIONS, async () => {
  await using plain = await startEtcd();
  await using secure = await startEtcd({ tls: true });
  assert.match(secure.url, /^etcd3\+https:/);
  for (
    const url of [
      ...["etcd:", "etcd3:", "etcd3+http:"].map((scheme) => plain.url.replace("etcd:", scheme)),
      secure.url,
    ]
  ) {
    await using coord = await getCoordinator(url);
    await using lease = await coord.lock("l").acquire();
    assert.equal(coord.driver, "etcd");
    assert.equal(await lease.isHeld(), true);
  }
});

test("escape() keeps parts of keys apart, and is undone", () => {
  for (const part of ["a/b", "%2F", "%", "a%2Fb", "..", "ümläut 🎈", "%25"]) {
    assert.ok(!escape(part).includes("/"));
    assert.equal(unescape(escape(part)), part);
  }
});

/** A store on a server of its own, as the shared code above it opens one. */
async function openStore(url: string, options: Partial<StoreOptions> = {}): Promise<EtcdStore> {
  const { host } = new URL(url.replace("etcd:", "http:"));
  return await EtcdStore.open({ hosts: [host], access: NOBODY }, {
    clock: systemClock,
    namespace: "test",
    memberId: "member",
    ttl: 5_000,
    limit: 2_000,
    signal: new AbortController().signal,
    broken: () => {},
    ...options,
  });
}

test("changed() resolves when the server has forgotten what it would have to tell", OPTIONS, async () => {
  await using server = await startEtcd();
  const store = await openStore(server.url);
  const client = new Etcd3({ hosts: `127.0.0.1:${server.port}` });
  try {
    const line = store.line({ kind: "lock", name: "l" });
    const first = await line.enter({ id: "a", mode: "exclusive", value: "" });
    const second = await line.enter({ id: "b", mode: "exclusive", value: "" });
    assert.equal(second.ahead, first.place.path);
    await client.kv.compact({ revision: second.at, physical: true });
    const { signal } = new AbortController();
    // The first did not change, but nobody could say so.
    await within(line.changed(first.place.path, "1", signal), "the watch ends");
  } finally {
    store.destroy();
    client.close();
  }
});

test("changed() tells what changed after the look and before the watch", OPTIONS, async () => {
  await using server = await startEtcd();
  const store = await openStore(server.url);
  try {
    const line = store.line({ kind: "lock", name: "l" });
    const first = await line.enter({ id: "a", mode: "exclusive", value: "" });
    const second = await line.enter({ id: "b", mode: "exclusive", value: "" });
    await line.remove(first.place);
    const { signal } = new AbortController();
    await within(line.changed(second.ahead, second.at, signal), "the watch ends");
  } finally {
    store.destroy();
  }
});

test("a release wakes the next in line alone, without a request", OPTIONS, async () => {
  await using server = await startEtcd();
  const stores = [await openStore(server.url)];
  const proxies: Proxy[] = [];
  const { signal } = new AbortController();
  try {
    const held = { id: "held", mode: "exclusive", value: "" } as const;
    const line = stores[0]?.line({ kind: "lock", name: "l" });
    const first = await line?.enter(held);
    const waits = [];
    for (const mode of ["exclusive", "shared", "exclusive"] as const) {
      const proxy = await startProxy(server.port);
      proxies.push(proxy);
      const store = await openStore(server.urlAt(proxy.port));
      stores.push(store);
      const own = store.line({ kind: "lock", name: "l" });
      const { ahead, at } = await own.enter({ id: "waits", mode, value: "" });
      waits.push({ proxy, changed: own.changed(ahead, at, signal) });
    }
    const [one, two, three] = waits;
    assert.ok(one && two && three);
    assert.equal(await after(QUIET, Promise.race(waits.map(({ changed }) => changed))), "pending");
    for (const { proxy } of waits) proxy.takeHeard();
    assert.equal(await line?.leave(held, first?.place), true);
    await within(one.changed, "the next in line hears of it");
    assert.equal(await after(QUIET, Promise.race([two.changed, three.changed])), "pending");
    assert.deepEqual(waits.map(({ proxy }) => proxy.takeHeard()), [1, 0, 0]);
  } finally {
    for (const store of stores) store.destroy();
    for (const proxy of proxies) await proxy.stop();
  }
});

test("a lease that was revoked is a session gone, for every request that needs it", OPTIONS, async () => {
  await using server = await startEtcd();
  const store = await openStore(server.url);
  const client = new Etcd3({ hosts: `127.0.0.1:${server.port}` });
  try {
    await client.leaseClient.leaseRevoke({ ID: store.lease });
    const line = store.line({ kind: "lock", name: "l" });
    await assert.rejects(store.renew(), SessionGone);
    await assert.rejects(store.owned(["x"]), SessionGone);
    await assert.rejects(line.enter({ id: "a", mode: "exclusive", value: "" }), SessionGone);
    await store.groups.create("g", "by");
    await assert.rejects(store.groups.put("g", "m", "", undefined), SessionGone);
  } finally {
    store.destroy();
    client.close();
  }
});

test("an entry whose answer was lost is found again, not made twice", OPTIONS, async () => {
  await using server = await startEtcd();
  await using proxy = await startProxy(server.port);
  const store = await openStore(server.urlAt(proxy.port));
  try {
    const line = store.line({ kind: "lock", name: "l" });
    const entry = { id: "a", mode: "exclusive", value: "to be lost" } as const;
    const dropped = proxy.dropAnswer({ to: entry.value });
    await assert.rejects(line.enter(entry), Interrupted);
    await dropped;
    const { place, ahead } = await eventually(() => line.enter(entry));
    assert.equal(ahead, undefined);
    const { entries } = await line.list();
    assert.deepEqual(entries.map(({ path, token }) => ({ path, token })), [place]);
    // The first one may still come: nobody else gets its key.
    assert.equal(await line.leave(entry, place), true);
    const next = await line.enter({ ...entry, id: "the next" });
    assert.notEqual(next.place.path, place.path);
  } finally {
    store.destroy();
  }
});

test("entries of a session use the same keys again and again", OPTIONS, async () => {
  await using server = await startEtcd();
  const store = await openStore(server.url);
  try {
    const line = store.line({ kind: "lock", name: "l" });
    const entry = (id: string) => ({ id, mode: "exclusive", value: "" }) as const;
    const first = await line.enter(entry("a"));
    const second = await line.enter(entry("b"));
    assert.notEqual(second.place.path, first.place.path);
    assert.equal(await line.leave(entry("a"), first.place), true);
    const third = await line.enter(entry("c"));
    assert.equal(third.place.path, first.place.path);
    // Who was there before is not taken for who is there now.
    assert.equal(await line.remove(first.place), false);
    assert.equal(await line.look(entry("a"), first.place), undefined);
    assert.equal(third.ahead, second.place.path);
  } finally {
    store.destroy();
  }
});

test("owned() knows the nodes of this session from those of others", OPTIONS, async () => {
  await using server = await startEtcd();
  const [store, other] = [await openStore(server.url), await openStore(server.url)];
  try {
    const target = { kind: "lock", name: "l" } as const;
    const entry = (id: string) => ({ id, mode: "shared", value: "" }) as const;
    const mine = await store.line(target).enter(entry("a"));
    const theirs = await other.line(target).enter(entry("b"));
    const paths = [mine.place.path, theirs.place.path, `${mine.place.path}x`];
    assert.deepEqual([...await store.owned(paths)], [mine.place.path]);
  } finally {
    store.destroy();
    other.destroy();
  }
});

test("a lease that an operator revokes is a session lost at the next heartbeat", OPTIONS, async () => {
  await using server = await startEtcd();
  await using coord = await getCoordinator(etcd(server.url), { ttl: 60_000, heartbeat: "manual" });
  const lease = await coord.lock("l").acquire();
  const { signal } = coord.session;
  const client = new Etcd3({ hosts: `127.0.0.1:${server.port}` });
  try {
    const { leases } = await client.leaseClient.leaseLeases();
    await client.leaseClient.leaseRevoke({ ID: leases[0]?.ID ?? "" });
    await assert.rejects(coord.heartbeat(), SessionLostError);
    assert.ok(signal.aborted && lease.signal.aborted);
    assert.ok(await within(coord.lock("l").acquire(), "the next session takes it"));
  } finally {
    client.close();
  }
});

/** Runs etcd's own tool until it is told to stop. */
function etcdctl(
  port: number,
  ...words: string[]
): { child: ChildProcess; said: () => string; ended: Promise<void> } {
  const { file, env } = requireBinary("etcdctl");
  const [command = "", ...args] = [...diesWithUs(), file, `--endpoints=127.0.0.1:${port}`, ...words];
  const child = spawn(command, args, {
    env: { ...process.env, ...env, ETCDCTL_API: "3" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  child.stdout?.on("data", (bytes: Uint8Array) => said += new TextDecoder().decode(bytes));
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  return { child, said: () => said, ended };
}

test("a lock and etcdctl lock exclude each other where the prefix is the same", TOOL, async () => {
  await using server = await startEtcd();
  await using coord = await getCoordinator(etcd(server.url, { lockPrefix: "" }), { ttl: 10_000 });
  const lock = coord.lock("jobs");
  const ours = await lock.acquire();
  const tool = etcdctl(server.port, "lock", "jobs");
  await eventually(async () => (await coord.lock("jobs").holders()).length === 1);
  assert.equal(await after(QUIET, tool.ended), "pending");
  assert.equal(tool.said(), "");
  await ours.release();
  await eventually(() => tool.said() !== "");
  assert.equal(await lock.tryAcquire(), undefined);
  const waiting = lock.acquire();
  assert.equal(await after(QUIET, waiting), "pending");
  tool.child.kill("SIGINT");
  const lease = await within(waiting, "the lock is handed over");
  assert.ok(lease.token > ours.token);
  await tool.ended;
});

test("an election and etcdctl elect exclude each other where the prefix is the same", TOOL, async () => {
  await using server = await startEtcd();
  await using coord = await getCoordinator(etcd(server.url, { electionPrefix: "" }), { ttl: 10_000 });
  const election = coord.election("boss");
  const tool = etcdctl(server.port, "elect", "boss", "the tool");
  const leader = await eventually(() => election.leader());
  assert.equal(leader?.value, "the tool");
  const campaign = election.campaign({ value: "ours" });
  assert.equal(await after(QUIET, campaign), "pending");
  tool.child.kill("SIGINT");
  const leadership = await within(campaign, "the leadership is handed over");
  assert.ok(leadership.token > (leader?.token ?? 0n));
  await tool.ended;
  const second = etcdctl(server.port, "elect", "boss", "the tool again");
  assert.equal(await after(QUIET, second.ended), "pending");
  assert.equal(second.said(), "");
  await leadership.resign();
  await eventually(() => second.said().includes("the tool again"));
  second.child.kill("SIGINT");
  await second.ended;
});

test("a session goes on at the next host when one is gone", OPTIONS, async () => {
  await using server = await startEtcd();
  await using first = await startProxy(server.port);
  await using second = await startProxy(server.port);
  const url = `etcd://127.0.0.1:${first.port},127.0.0.1:${second.port}`;
  await using coord = await getCoordinator(etcd(url), { ttl: 6_000 });
  const lease = await coord.lock("l").acquire();
  first.refuse();
  assert.equal(await within(lease.isHeld(), "the second answers"), true);
  assert.equal(await lease.release(), true);
});

test("what the server refuses to open is a ConnectionError with its refusal as cause", OPTIONS, async () => {
  await using server = await startEtcd();
  const opening = getCoordinator(etcd(server.url), { ttl: 1e13 });
  await assert.rejects(within(opening, "the opening is refused"), (error: unknown) => {
    assert.ok(error instanceof ConnectionError, String(error));
    assert.ok(error.cause instanceof Error);
    return /Cannot open a session of etcd: .*too large lease TTL/.test(error.message);
  });
});

test("requests and waits that are over leave nothing in memory", OPTIONS, async () => {
  await using server = await startEtcd();
  const store = await openStore(server.url);
  try {
    const line = store.line({ kind: "lock", name: "l" });
    const { place } = await line.enter({ id: "a", mode: "exclusive", value: "" });
    const run = async (times: number) => {
      for (let i = 0; i < times; i++) {
        await line.list();
        await line.changed(place.path, "0", new AbortController().signal);
      }
    };
    await run(1_000);
    const before = collectGarbage();
    await run(1_000);
    const grown = collectGarbage() - before;
    assert.ok(grown < 1_000_000, `${grown} bytes more`);
  } finally {
    store.destroy();
  }
});

test("a host may be an IPv6 address", { ...OPTIONS, skip: OPTIONS.skip || !HAS_IPV6 }, async () => {
  await using server = await startEtcd();
  await using proxy = new Proxy(server.port);
  await proxy.start("::1");
  await using coord = await getCoordinator(etcd(`etcd://[::1]:${proxy.port}`), { ttl: 10_000 });
  assert.ok(await coord.lock("l").tryAcquire());
});

test("a watch that the server refuses is Interrupted, not a change", OPTIONS, async () => {
  await using server = await startEtcd();
  const store = await openStore(server.url);
  try {
    const line = store.line({ kind: "lock", name: "l" });
    const { place, at } = await line.enter({ id: "a", mode: "exclusive", value: "" });
    await protect(server.port, "secret");
    const { signal } = new AbortController();
    const changed = within(line.changed(place.path, at, signal), "the watch ends");
    await assert.rejects(changed, (error: unknown) => {
      assert.ok(error instanceof Interrupted, String(error));
      return /the server refused a watch/.test(error.message);
    });
  } finally {
    store.destroy();
  }
});

test("a value that is too large is refused at once, and nothing else suffers", OPTIONS, async () => {
  await using server = await startEtcd();
  await using coord = await getCoordinator(etcd(server.url), { ttl: 10_000 });
  const lease = await coord.lock("l").acquire();
  const large = "x".repeat(2_000_000);
  await coord.group("g").create();
  await assert.rejects(within(coord.group("g").join(large), "the join is refused"), (error: unknown) => {
    assert.ok(error instanceof CapacityError, String(error));
    return /too large.*--max-request-bytes/.test(error.message);
  });
  assert.equal(await lease.isHeld(), true);
});

test(
  "a join that was carried out unheard, and refused when it was repeated, leaves no member",
  OPTIONS,
  async () => {
    await using server = await startEtcd();
    const opener = etcd(server.url) as Opener; // To those who know.
    const session = await opener.open({
      memberId: "a",
      incarnation: "a",
      namespace: "test",
      ttl: 30_000,
      timeout: 10_000,
      longest: 10_000,
      signal: new AbortController().signal,
      note: () => {},
    }) as TreeSession;
    const { groups } = session;
    await groups.create("g");
    const put = session.store.groups.put.bind(session.store.groups);
    let tries = 0;
    session.store.groups.put = async (...parts) => {
      if (++tries > 1) throw new CapacityError("Cannot store that: the space is used up");
      await put(...parts);
      throw new Interrupted("the answer was lost");
    };
    const joining = { presence: "p", data: "{}", replace: false };
    await assert.rejects(within(groups.join("g", joining), "the join is refused"), CapacityError);
    await eventually(async () => (await groups.members("g")).members.size === 0);
    await session.close();
  },
);
