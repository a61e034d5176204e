import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { hasServer, versionOf } from "../tests/servers/available.ts";
import { startConsul } from "../tests/servers/consul.ts";
import { startEtcd } from "../tests/servers/etcd.ts";
import { startMemcached } from "../tests/servers/memcached.ts";
import { startMariadb } from "../tests/servers/mysql.ts";
import { startPostgresql } from "../tests/servers/postgresql.ts";
import { startRedis } from "../tests/servers/redis.ts";
import { startZooKeeper } from "../tests/servers/zookeeper.ts";
import { floor as consulFloor } from "./floors/consul.ts";
import { bell as consulBell } from "./floors/consul_bell.ts";
import { floor as etcdFloor } from "./floors/etcd.ts";
import { bell as etcdBell } from "./floors/etcd_bell.ts";
import { floor as mysqlFloor } from "./floors/mysql.ts";
import { bell as mysqlBell } from "./floors/mysql_bell.ts";
import { floor as postgresqlFloor } from "./floors/postgresql.ts";
import { bell as postgresqlBell } from "./floors/postgresql_bell.ts";
import { floor as zookeeperFloor } from "./floors/zookeeper.ts";
import { bell as zookeeperBell } from "./floors/zookeeper_bell.ts";
import { floor as fileFloor } from "./floors/file.ts";
import { floor as ipcFloor } from "./floors/ipc.ts";
import { floor as memcachedFloor } from "./floors/memcached.ts";
import { floor as redisFloor } from "./floors/redis.ts";
import { bell as redisBell } from "./floors/redis_bell.ts";

/** The least that a backend can do for an acquire and a release, without this library. */
export interface Floor {
  once(): Promise<unknown>;
  close(): Promise<unknown>;
}

/** One end of the least that can wake another process up. */
export interface Bell {
  /** Wakes the other end. */
  ring(): Promise<unknown>;
  /** Resolves at the next ring of the other end, after the one trip that taking the lock needs. */
  heard(): Promise<unknown>;
  close(): Promise<unknown>;
}

/** A backend to measure: a new driver adds a row to {@linkcode BACKENDS}. */
export interface BenchedBackend {
  readonly name: string;
  /** The server program without which it cannot be measured. */
  readonly needs?: string;
  /** A private instance. */
  start(): Promise<{ readonly url: string; stop(): Promise<unknown> }>;
  readonly floor?: (url: string) => Promise<Floor>;
  readonly bell?: (url: string, side: "left" | "right") => Promise<Bell>;
  /** Whether two processes can meet on it. */
  readonly isShared: boolean;
  /** What must hold on any machine: ratios to the floor, or ms. */
  readonly bars: {
    readonly uncontendedRatio?: number;
    readonly handoffRatio?: number;
    readonly uncontended?: number;
    readonly handoff?: number;
  };
}

function startDirectory() {
  const directory = mkdtempSync(join(tmpdir(), "coord-bench-"));
  const stop = () => Promise.resolve(rmSync(directory, { recursive: true, force: true }));
  return Promise.resolve({ url: pathToFileURL(directory).href, stop });
}

export const BACKENDS: readonly BenchedBackend[] = [
  {
    name: "zake",
    start: () => Promise.resolve({ url: "zake://bench", stop: () => Promise.resolve() }),
    isShared: false,
    bars: {},
  },
  {
    name: "file",
    start: startDirectory,
    floor: fileFloor,
    isShared: true,
    bars: { handoff: 5 },
  },
  {
    name: "ipc",
    start: () =>
      Promise.resolve({ url: `ipc:?namespace=bench-${crypto.randomUUID()}`, stop: () => Promise.resolve() }),
    floor: ipcFloor,
    isShared: true,
    bars: { uncontended: 0.02, handoff: 2 },
  },
  {
    name: "redis",
    needs: "redis-server",
    start: startRedis,
    floor: redisFloor,
    bell: redisBell,
    isShared: true,
    bars: { uncontendedRatio: 1.5, handoffRatio: 3 },
  },
  {
    name: "zookeeper",
    needs: "zookeeper",
    start: startZooKeeper,
    floor: zookeeperFloor,
    bell: zookeeperBell,
    isShared: true,
    bars: { uncontendedRatio: 1.5, handoffRatio: 3 },
  },
  {
    name: "etcd",
    needs: "etcd",
    start: startEtcd,
    floor: etcdFloor,
    bell: etcdBell,
    isShared: true,
    bars: { uncontendedRatio: 1.5, handoffRatio: 3 },
  },
  {
    name: "consul",
    needs: "consul",
    start: startConsul,
    floor: consulFloor,
    bell: consulBell,
    isShared: true,
    bars: { uncontendedRatio: 1.5, handoffRatio: 3 },
  },
  {
    name: "memcached",
    needs: "memcached",
    start: startMemcached,
    floor: memcachedFloor,
    // The server wakes nobody, so there is no bell to compare with.
    isShared: true,
    bars: { uncontendedRatio: 1.5, handoff: 5 },
  },
  {
    name: "postgresql",
    needs: "postgres",
    start: () => startPostgresql(),
    floor: postgresqlFloor,
    bell: postgresqlBell,
    isShared: true,
    bars: { uncontendedRatio: 1.5, handoffRatio: 3 },
  },
  {
    name: "mysql",
    needs: "mariadbd",
    start: startMariadb,
    floor: mysqlFloor,
    bell: mysqlBell,
    isShared: true,
    bars: { uncontendedRatio: 1.5, handoffRatio: 3 },
  },
];

/** Whether a backend can be measured here. */
export function isAvailable({ needs }: BenchedBackend): boolean {
  return needs === undefined || hasServer(needs);
}

/** What a backend's server program says of itself. */
export function serverVersion({ needs }: BenchedBackend): string | undefined {
  return needs === undefined ? undefined : versionOf(needs);
}
