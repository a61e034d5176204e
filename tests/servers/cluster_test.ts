import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { hasServer } from "./available.ts";
import type { Cluster, ClusterOptions } from "./cluster.ts";
import { startConsulCluster } from "./consul.ts";
import { startEtcdCluster } from "./etcd.ts";
import { ask, httpSend } from "./probe.ts";
import type { ServerProcess } from "./server.ts";
import { startZooKeeperCluster } from "./zookeeper.ts";
import { writeNode } from "./zookeeper_client.ts";

interface Product {
  readonly name: string;
  start(options?: ClusterOptions): Promise<Cluster>;
  /** Writes something through a node; rejects when the node cannot. */
  write(node: ServerProcess): Promise<unknown>;
}

/** Longer than an election, shorter than a product's own patience. */
const WRITE_DEADLINE = 3000;

let writes = 0;

const PRODUCTS: readonly Product[] = [
  {
    name: "etcd",
    start: startEtcdCluster,
    write({ port }) {
      const body = JSON.stringify({ key: btoa(`k${++writes}`), value: btoa("v") });
      return ask(port, httpSend("POST /v3/kv/put", { body, expect: /^HTTP\/1\.1 200/ }), WRITE_DEADLINE);
    },
  },
  {
    name: "zookeeper",
    start: startZooKeeperCluster,
    write: ({ port }) => writeNode(port, "v", `/k${++writes}`),
  },
  {
    name: "consul",
    start: startConsulCluster,
    write({ port }) {
      const request = { body: "v", expect: /^HTTP\/1\.1 200[\s\S]*true/ };
      return ask(port, httpSend(`PUT /v1/kv/k${++writes}`, request), WRITE_DEADLINE);
    },
  },
];

/** Tries again until it works. */
async function eventually(act: () => Promise<unknown>): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (true) {
    try {
      return void await act();
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await sleep(50);
    }
  }
}

for (const { name, start, write } of PRODUCTS) {
  const options = { skip: !hasServer(name), timeout: 120_000 };

  describe(`a cluster of ${name}`, () => {
    test("has one leader and a URL of three hosts, and serves again after restart()", options, async () => {
      await using cluster = await start();
      assert.match(cluster.url, new RegExp(`^${name}://(127\\.0\\.0\\.1:\\d+,){2}127\\.0\\.0\\.1:\\d+$`));
      assert.equal(cluster.urlAt(1234), `${name}://127.0.0.1:1234`);
      const leader = await cluster.leader();
      const followers = await cluster.followers();
      assert.equal(new Set([leader, ...followers]).size, 3);
      assert.throws(() => cluster.isolate(leader), /not isolatable/);
      await cluster.restart();
      await write(await cluster.leader());
    });

    test("elects another leader when the leader is killed, which may come back", options, async () => {
      await using cluster = await start();
      const dead = await cluster.leader();
      await dead.kill();
      assert.equal(cluster.isAlive, false);
      const leader = await cluster.leader();
      assert.notEqual(leader, dead);
      await eventually(() => write(leader));
      await cluster.start();
      assert.equal((await cluster.followers()).length, 2);
      await eventually(() => write(dead));
    });

    test("isolate() leaves a leader without power, until heal()", options, async () => {
      await using cluster = await start({ isolatable: true });
      const alone = await cluster.leader();
      await write(alone);
      cluster.isolate(alone);
      const refused = assert.rejects(write(alone));
      const leader = await cluster.leader();
      assert.notEqual(leader, alone);
      await eventually(() => write(leader));
      await refused;
      await assert.rejects(write(alone));
      await cluster.heal();
      await eventually(() => write(alone));
    });
  });
}
