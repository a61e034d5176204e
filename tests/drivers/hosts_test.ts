// Of several servers that a URL names, some are away before anybody has connected.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ConnectionError } from "../../core/errors.ts";
import { type Coordinator, getCoordinator } from "../../mod.ts";
import { failure, within } from "../conformance/waiting.ts";
import { hasServer } from "../servers/available.ts";
import type { Cluster } from "../servers/cluster.ts";
import { startConsulCluster } from "../servers/consul.ts";
import { startEtcdCluster } from "../servers/etcd.ts";
import { startMemcached } from "../servers/memcached.ts";
import { startProxy } from "../servers/proxy.ts";
import { startZooKeeperCluster } from "../servers/zookeeper.ts";

const CLUSTERS: Readonly<Record<string, () => Promise<Cluster>>> = {
  etcd: startEtcdCluster,
  zookeeper: startZooKeeperCluster,
  consul: startConsulCluster,
};
const ttl = 24_000;

/** The same in any order that begins with another one. */
function rotations<T>(all: readonly T[]): T[][] {
  return all.map((_, i) => [...all.slice(i), ...all.slice(0, i)]);
}

function urlOf(driver: string, ports: readonly number[]): string {
  return `${driver}://${ports.map((port) => `127.0.0.1:${port}`)}`;
}

/** Hands a lock over, and renews. */
async function handOver(one: Coordinator, two: Coordinator): Promise<bigint> {
  const lease = await within(one.lock("l").acquire(), "the lock is granted", ttl);
  const waiting = two.lock("l").acquire();
  await one.heartbeat();
  assert.equal(await lease.isHeld(), true);
  assert.equal(await lease.release(), true);
  const next = await within(waiting, "the lock is handed over", ttl);
  assert.ok(next.token > lease.token);
  assert.equal(await next.release(), true);
  return next.token;
}

for (const [driver, start] of Object.entries(CLUSTERS)) {
  test(
    `${driver}: with one of three servers dead, or two that are not to be reached, wherever they stand in the URL`,
    { skip: !hasServer(driver), timeout: 120_000 },
    async () => {
      await using cluster = await start();
      const [dead, ...others] = cluster.nodes;
      await dead?.kill();
      await cluster.leader();
      const [near = 0, far = 0] = others.map(({ port }) => port);
      await using silent = await startProxy(near);
      silent.blackHole();
      let last = 0n;
      for (const ports of [[dead?.port ?? 0, near, far], [dead?.port ?? 0, silent.port, far]]) {
        for (const order of rotations(ports)) {
          const url = urlOf(driver, order);
          const opening = [getCoordinator(url, { ttl }), getCoordinator(url, { ttl })] as const;
          const [first, second] = await within(Promise.all(opening), `${order} connects`, ttl);
          await using one = first;
          await using two = second;
          const token = await handOver(one, two);
          assert.ok(token > last);
          last = token;
        }
      }
    },
  );
}

test(
  "memcached: with one of three servers dead, wherever it stands in the URL, only what falls to it is refused",
  { skip: !hasServer("memcached"), timeout: 120_000 },
  async () => {
    const servers = await Promise.all([startMemcached(), startMemcached(), startMemcached()]);
    await using all = new AsyncDisposableStack();
    for (const server of servers) all.use(server);
    await servers[0].kill();
    const names = Array.from({ length: 40 }, (_, i) => `l${i}`);
    const refused: string[] = [];
    for (const order of rotations(servers.map(({ port }) => port))) {
      const url = urlOf("memcached", order);
      await using coord = await getCoordinator(url, { ttl });
      await using other = await getCoordinator(url, { ttl });
      const without: string[] = [];
      for (const name of names) {
        const error = await within(
          failure(coord.lock(name).use(() => {})),
          `${name} is used or refused`,
          ttl,
        );
        if (error === undefined) continue;
        assert.ok(error instanceof ConnectionError, String(error));
        without.push(name);
      }
      assert.ok(without.length > 0 && without.length < names.length, `refused: ${without}`);
      refused.push(`${without}`);
      assert.equal(coord.state, "connected");
      const name = names.find((each) => !without.includes(each)) ?? "";
      await using lease = await coord.lock(name).acquire();
      assert.equal(await lease.isHeld(), true);
      assert.equal(await other.lock(name).tryAcquire(), undefined);
    }
    // Where a key is does not depend on the order.
    assert.equal(new Set(refused).size, 1);
  },
);
