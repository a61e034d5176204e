import type { DriverFactory } from "../../driver.ts";
import { consul } from "../../drivers/consul.ts";
import { etcd } from "../../drivers/etcd.ts";
import { zookeeper } from "../../drivers/zookeeper.ts";
import type { Cluster, ClusterOptions } from "../servers/cluster.ts";
import { startConsul, startConsulCluster } from "../servers/consul.ts";
import { startEtcd, startEtcdCluster } from "../servers/etcd.ts";
import type { Server } from "../servers/server.ts";
import { startZooKeeper, startZooKeeperCluster } from "../servers/zookeeper.ts";

/** A product whose servers can act as one. */
export interface Product {
  readonly factory: DriverFactory;
  readonly server: () => Promise<Server>;
  readonly cluster: (options?: ClusterOptions) => Promise<Cluster>;
  /** How many requests a server has had; where it is not said, what a proxy has seen tells. */
  readonly requests?: (server: Server) => Promise<number>;
  /** What part of the ttl that is asked for a session is granted. */
  readonly grants: number;
  /** After so many ms a wait asks again, where it is a request. */
  readonly window: number;
}

/** By the name of the driver. */
export const PRODUCTS: Readonly<Record<string, Product>> = {
  consul: { factory: consul, server: startConsul, cluster: startConsulCluster, grants: 0.5, window: 20_000 },
  etcd: {
    factory: etcd,
    server: startEtcd,
    cluster: startEtcdCluster,
    requests: receivedByEtcd,
    grants: 1,
    window: Infinity,
  },
  zookeeper: {
    factory: zookeeper,
    server: startZooKeeper,
    cluster: startZooKeeperCluster,
    grants: 1,
    window: Infinity,
  },
};

/** HTTP/2 has much to say beside requests, so that a proxy cannot count them. */
async function receivedByEtcd(server: Server): Promise<number> {
  const metrics = await (await fetch(`http://127.0.0.1:${server.port}/metrics`)).text();
  const counts = metrics.matchAll(/^grpc_server_msg_received_total\{.*\} (\S+)$/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}
