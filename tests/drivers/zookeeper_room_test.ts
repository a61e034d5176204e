// What the driver makes of servers that have no room.
import assert from "node:assert/strict";
import { test } from "node:test";
import { CapacityError, ConnectionError, getCoordinator } from "../../mod.ts";
import { eventually, failure, within } from "../conformance/waiting.ts";
import { findZooKeeper, startZooKeeper } from "../servers/zookeeper.ts";
import { writeNode } from "../servers/zookeeper_client.ts";

const OPTIONS = { ttl: 20_000, heartbeat: "manual" } as const;

async function noRoom(promise: Promise<unknown>): Promise<void> {
  const error = await within(failure(promise), "it is refused");
  assert.ok(error instanceof CapacityError, String(error));
  assert.match(error.message, /QUOTA_EXCEEDED.*; raise it \(setquota\)/);
}

for (const suite of ["bookworm", "sid"] as const) {
  const TEST = { skip: findZooKeeper(suite) === undefined, timeout: 60_000 };

  test(`ZooKeeper of ${suite}: a quota is told to who stores, and harms nobody`, TEST, async () => {
    await using server = await startZooKeeper({ suite, config: ["enforceQuota=true"] });
    await using one = await getCoordinator(server.url, { ...OPTIONS, memberId: "one" });
    await using two = await getCoordinator(server.url, { ...OPTIONS, memberId: "two" });
    const lease = await one.lock("l").acquire();
    const membership = await one.group("g").join({}, { create: true });
    await writeNode(server.port, "", "/zookeeper/quota/tooz");
    const limits = "count=-1,bytes=-1=;byteHardLimit=600;countHardLimit=12";
    await writeNode(server.port, limits, "/zookeeper/quota/tooz/zookeeper_limits");
    await writeNode(server.port, "count=12,bytes=300", "/zookeeper/quota/tooz/zookeeper_stats");
    const fill = async () => {
      for (let i = 0;; i++) await two.lock(`fresh-${i}`).acquire();
    };
    await noRoom(fill());
    await noRoom(two.group("g").join({}));
    await noRoom(membership.update("x".repeat(1_000)));
    assert.deepEqual([one.state, two.state], ["connected", "connected"]);
    assert.deepEqual([await lease.isHeld(), await lease.release()], [true, true]);
    assert.equal(await membership.leave(), true);
    assert.ok(await two.group("g").join({}));
  });

  test(`ZooKeeper of ${suite}: who is not let in hears of maxClientCnxns`, TEST, async () => {
    await using server = await startZooKeeper({ suite, config: ["maxClientCnxns=1"] });
    // The server may not know yet that who asked whether it is up has gone.
    const one = await eventually(() => getCoordinator(server.url, OPTIONS));
    const lease = await one.lock("l").acquire();
    const error = await within(failure(getCoordinator(server.url, OPTIONS)), "it is refused");
    assert.ok(error instanceof ConnectionError, String(error));
    assert.match(error.message, /closed the connection at once: .*maxClientCnxns/);
    assert.equal(await lease.isHeld(), true);
    await one.close();
    await using two = await eventually(() => getCoordinator(server.url, OPTIONS));
    assert.ok(await two.lock("l").tryAcquire());
  });
}
