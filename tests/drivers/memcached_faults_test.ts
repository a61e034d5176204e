import assert from "node:assert/strict";
import { test } from "node:test";
import { ConnectionError, LockLostError, MemberNotJoinedError } from "../../mod.ts";
import { aborted, after, eventually, failure, within } from "../conformance/waiting.ts";
import { findBinary } from "../servers/binaries.ts";
import { startProxy } from "../servers/proxy.ts";
import { NAMESPACE, startWorld } from "./memcached_world.ts";

const OPTIONS = { skip: !findBinary("memcached"), timeout: 60_000 };

/** How long it is watched that something does not happen, in ms. */
const QUIET = 300;

test(
  "the worst case: flushed while held, there are two holders until the next heartbeat, and the token tells",
  OPTIONS,
  async () => {
    await using world = await startWorld();
    const first = await world.open({ heartbeat: "manual", ttl: 60_000 });
    const second = await world.open();
    const held = await first.lock("l").acquire();
    await world.flush();
    // The second's session is gone as well: it finds that out first, and opens another.
    const taken = await eventually(() => second.lock("l").acquire().catch(() => undefined));
    assert.ok(taken);
    assert.equal(held.signal.aborted, false, "nobody has told the first yet");
    assert.ok(taken.token > held.token, `${taken.token} > ${held.token}`);
    await failure(first.heartbeat());
    assert.equal(held.signal.aborted, true);
    assert.equal(await held.release(), false);
    assert.equal(await taken.isHeld(), true);
  },
);

test("a flush ends sessions with all that is on them, at the next heartbeat", OPTIONS, async () => {
  await using world = await startWorld();
  const coordinator = await world.open({ ttl: 2_000 });
  const lease = await coordinator.lock("l").acquire();
  const membership = await coordinator.group("g").join({}, { create: true });
  await world.flush();
  assert.ok(await aborted(lease.signal) instanceof LockLostError);
  await aborted(membership.signal);
  await within(coordinator.lock("l").use(() => {}), "a new session can be used");
});

test(
  "a restart ends sessions at the reconnect, before anything can be taken on the new server",
  OPTIONS,
  async () => {
    await using world = await startWorld();
    const [one, two] = [await world.open({ ttl: 30_000 }), await world.open({ ttl: 30_000 })];
    const lease = await one.lock("l").acquire();
    const order: string[] = [];
    lease.signal.addEventListener("abort", () => order.push("lost"));
    await world.server.restart();
    const next = await eventually(() => two.lock("l").acquire().catch(() => undefined));
    order.push("granted");
    assert.ok(next);
    assert.deepEqual(order, ["lost", "granted"]);
    assert.ok(next.token > lease.token, `${next.token} > ${lease.token}`);
  },
);

test("a lock that was evicted is signalled, though its session lives", OPTIONS, async () => {
  await using world = await startWorld();
  const coordinator = await world.open({ ttl: 2_000 });
  const [lease, other] = [await coordinator.lock("l").acquire(), await coordinator.lock("m").acquire()];
  await world.evict(`${NAMESPACE}/locks/l`);
  assert.ok(await aborted(lease.signal) instanceof LockLostError);
  assert.equal(other.signal.aborted, false);
  assert.ok((await coordinator.lock("l").acquire()).token > lease.token);
});

test(
  "among many leases, one whose lock was evicted and taken is signalled at the next heartbeat",
  OPTIONS,
  async () => {
    await using world = await startWorld();
    const first = await world.open({ heartbeat: "manual", ttl: 60_000 });
    const second = await world.open();
    const names = Array.from({ length: 300 }, (_, i) => `lock-${i}`);
    const leases = await Promise.all(names.map((name) => first.lock(name).acquire()));
    await first.heartbeat();
    for (const which of [299, 40]) {
      await world.evict(`${NAMESPACE}/locks/lock-${which}`);
      await second.lock(`lock-${which}`).acquire();
      await first.heartbeat();
      assert.equal(leases[which]?.signal.aborted, true, `lock-${which}`);
    }
    assert.equal(leases.filter(({ signal }) => signal.aborted).length, 2);
  },
);

test("among many leases, one that was broken is signalled at the next heartbeat", OPTIONS, async () => {
  await using world = await startWorld();
  const first = await world.open({ heartbeat: "manual", ttl: 60_000 });
  const second = await world.open();
  const leases = await Promise.all(
    Array.from({ length: 300 }, (_, i) => first.lock(`lock-${i}`).acquire()),
  );
  await first.heartbeat();
  for (const which of [299, 298]) assert.equal(await second.lock(`lock-${which}`).break(), true);
  assert.equal(await first.lock("lock-297").break(), true);
  await first.heartbeat();
  assert.deepEqual(leases.filter(({ signal }) => signal.aborted).map(({ name }) => name), [
    "lock-297",
    "lock-298",
    "lock-299",
  ]);
});

test("a group that was evicted is gone, and its members are told", OPTIONS, async () => {
  await using world = await startWorld();
  const coordinator = await world.open({ ttl: 2_000 });
  const membership = await coordinator.group("g").join({}, { create: true });
  await world.evict(`${NAMESPACE}/groups/g`);
  assert.ok(await aborted(membership.signal) instanceof MemberNotJoinedError);
  assert.deepEqual(await coordinator.groups(), []);
  await coordinator.group("g").join({}, { create: true });
  assert.deepEqual(await coordinator.groups(), ["g"]);
});

test("dead waiters and holders are removed from a line by those behind them", OPTIONS, async () => {
  await using world = await startWorld();
  const proxy = await startProxy(world.server.port);
  const url = world.server.urlAt(proxy.port);
  const [holder, waiter] = [await world.open({ url, ttl: 1_500 }), await world.open({ url, ttl: 1_500 })];
  const living = await world.open({ ttl: 30_000 });
  await holder.lock("l").acquire();
  const dying = failure(waiter.lock("l").acquire());
  const line = async () => JSON.parse(await world.item(`${NAMESPACE}/locks/l`) ?? "[]").length;
  await eventually(async () => await line() === 3);
  const waiting = living.lock("l").acquire();
  await eventually(async () => await line() === 4);
  proxy.blackHole();
  assert.ok(await within(waiting, "the one behind them has it"));
  assert.equal(await line(), 2);
  await dying;
  proxy.forward();
  await Promise.all([holder.close(), waiter.close()]);
  await proxy.stop();
});

test("versions of before a restart are worth nothing after it", OPTIONS, async () => {
  await using world = await startWorld();
  const coordinator = await world.open({ ttl: 30_000 });
  const lease = await coordinator.lock("l").acquire();
  const key = `${NAMESPACE}/locks/l`;
  const { cas } = await world.operate((link) => link.ask(`mg ${key} c`));
  await world.server.restart();
  // The server counts from 1 again, so that this gets the version that the lock had.
  const foreign = `["7",["someone","else","e","7","[]"]]`;
  await world.operate(async (link) => {
    while ((await link.ask(`ms ${key} ${foreign.length} c`, foreign)).cas !== cas);
  });
  assert.equal(await lease.release(), false);
  assert.equal(await world.item(key), foreign);
});

test("of several servers, one that is away takes only those along who use it", OPTIONS, async () => {
  await using world = await startWorld({ count: 2 });
  const [here, there] = [world.lockOn(0), world.lockOn(1)];
  await world.servers[1]?.kill();
  const [one, two] = [await world.open(), await world.open()];
  const lease = await one.lock(here).acquire();
  const refused = await failure(one.lock(there).acquire());
  assert.ok(refused instanceof ConnectionError, String(refused));
  assert.match(refused.message, new RegExp(`${world.servers[1]?.port}`));
  const waiting = two.lock(here).acquire();
  assert.equal(await after(QUIET, waiting), "pending");
  assert.equal(one.state, "connected");
  assert.equal(await lease.release(), true);
  await within(waiting, "the other server serves");
});

test(
  "a server that goes away ends the sessions that use it, and no lock moves to another",
  OPTIONS,
  async () => {
    await using world = await startWorld({ count: 2 });
    const [here, there] = [world.lockOn(0), world.lockOn(1)];
    const coordinator = await world.open({ ttl: 2_000 });
    const leases = [await coordinator.lock(here).acquire(), await coordinator.lock(there).acquire()];
    await world.servers[1]?.kill();
    for (const { signal } of leases) await aborted(signal);
    await eventually(() => coordinator.lock(here).use(() => true).catch(() => false));
    assert.ok(await failure(coordinator.lock(there).acquire()) instanceof ConnectionError);
  },
);
