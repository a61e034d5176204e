// A password that changes while a lock is held, on every driver that logs in; a single redis has a test of its own.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { inspect } from "node:util";
import { Client } from "pg";
import { ConnectionError } from "../../core/errors.ts";
import type { Backend } from "../../driver.ts";
import { consul } from "../../drivers/consul.ts";
import { etcd } from "../../drivers/etcd.ts";
import { memcached } from "../../drivers/memcached.ts";
import { mysql } from "../../drivers/mysql.ts";
import { postgresql } from "../../drivers/postgresql.ts";
import { redis } from "../../drivers/redis.ts";
import { zookeeper } from "../../drivers/zookeeper.ts";
import type { Secret } from "../../internal/access.ts";
import { getCoordinator } from "../../mod.ts";
import { aborted, eventually, failure, within } from "../conformance/waiting.ts";
import { hasServer } from "../servers/available.ts";
import type { Suite } from "../servers/binaries.ts";
import { startConsul } from "../servers/consul.ts";
import { startEtcd } from "../servers/etcd.ts";
import { startMemcached } from "../servers/memcached.ts";
import { startMariadb, startMysql } from "../servers/mysql.ts";
import { startPostgresql } from "../servers/postgresql.ts";
import { ask, httpSend } from "../servers/probe.ts";
import { startProxy } from "../servers/proxy.ts";
import { type RedisCluster, startRedisCluster } from "../servers/redis_cluster.ts";
import { type RedisSentinels, startRedisSentinels } from "../servers/redis_sentinels.ts";
import type { Server, ServerProcess } from "../servers/server.ts";
import { startZooKeeper } from "../servers/zookeeper.ts";
import { adminOf } from "./mysql_world.ts";

/** A UUID, as Consul wants its tokens. */
const [OLD, NEW] = ["5d9a7a2e-6a0c-4a3c-9d5e-0c5f0b7f1a11", "8f0f0f0e-0b1e-4a44-8d70-2f5f2f3f7a22"];
const SECRETS = new RegExp(`${OLD}|${NEW}`);
const ROOT = "r00t-t0ken";
const ttl = 15_000;

/** A server, whose password can be made another: then nobody is let in any more who says the old one. */
interface Rotating {
  readonly server: Server;
  rotate(): Promise<void>;
}

async function rotating<S extends Server>(
  starting: Promise<S>,
  change: (server: S) => Promise<void>,
): Promise<Rotating> {
  const server = await starting;
  return { server, rotate: () => change(server) };
}

interface Product {
  readonly program: string;
  readonly suite?: Suite;
  readonly factory: (url: string, options: { password: Secret }) => Backend;
  start(): Promise<Rotating>;
  /** Whether a hold outlives the connection that it was taken on. */
  readonly outlives: boolean;
}

/** Asks Consul as one who may do everything. */
async function govern(port: number, request: string, body: object): Promise<void> {
  await ask(
    port,
    httpSend(`${request}?token=${ROOT}`, {
      body: JSON.stringify(body),
      expect: /^HTTP\/1\.1 200[\s\S]*(\}|true)/,
    }),
    10_000,
  );
}

async function addToken(port: number, token: string): Promise<void> {
  await govern(port, "PUT /v1/acl/token", {
    AccessorID: token,
    SecretID: token,
    Policies: [{ Name: "global-management" }],
  });
}

async function startConsulWithToken(): Promise<ServerProcess> {
  const server = await startConsul({ token: ROOT });
  await addToken(server.port, OLD);
  return server;
}

async function changeConsul({ port }: ServerProcess): Promise<void> {
  await addToken(port, NEW);
  await govern(port, `DELETE /v1/acl/token/${OLD}`, {});
}

async function changeEtcd({ port }: ServerProcess): Promise<void> {
  const say = (path: string, body: object, expect: RegExp, token?: string) => {
    const question = httpSend(`POST ${path}`, { body: JSON.stringify(body), expect });
    const head = token === undefined ? "" : `Authorization: ${token}\r\n`;
    return ask(port, { ...question, send: question.send.replace("\r\n\r\n", `\r\n${head}\r\n`) }, 10_000);
  };
  const answer = await say("/v3/auth/authenticate", { name: "root", password: OLD }, /"token":"[^"]+"/);
  const [, token] = /"token":"([^"]+)"/.exec(answer) ?? [];
  await say("/v3/auth/user/changepw", { name: "root", password: NEW }, /^HTTP\/1\.1 200/, token);
}

async function changeMemcached(server: ServerProcess): Promise<void> {
  writeFileSync(join(server.dir, "users"), `coord:${NEW}\n`);
  process.kill(server.pid ?? 0, "SIGHUP");
  const words = `coord ${NEW}`;
  const login = { send: `set login 0 -1 ${words.length}\r\n${words}\r\n`, expect: /STORED/ };
  await eventually(() => ask(server.port, login));
}

async function changePostgresql({ port }: ServerProcess): Promise<void> {
  const client = new Client({
    host: "127.0.0.1",
    port,
    user: "postgres",
    password: OLD,
    database: "postgres",
  });
  await client.connect();
  await client.query(`alter user postgres password '${NEW}'`);
  await client.end();
}

async function changeMysql(server: ServerProcess): Promise<void> {
  const admin = await adminOf(server);
  await admin.query(`alter user coord@'%' identified by '${NEW}'`);
  admin.destroy();
}

/** Tells one server of redis something. */
async function command({ port }: Server, words: string, login = ""): Promise<void> {
  await ask(port, { send: `${login}${words}\r\n`, expect: login === "" ? /\+OK/ : /\+OK\r\n\+OK/ });
}

/** Servers of redis that log in at one another. */
async function changeRedis(servers: readonly Server[]): Promise<void> {
  for (const setting of ["masterauth", "requirepass"]) {
    for (const server of servers) await command(server, `CONFIG SET ${setting} ${NEW}`, `AUTH ${OLD}\r\n`);
  }
}

async function changeSentinels({ servers, sentinels }: RedisSentinels): Promise<void> {
  await changeRedis(servers);
  for (const sentinel of sentinels) await command(sentinel, `SENTINEL SET mymaster auth-pass ${NEW}`);
}

async function changeCluster({ nodes }: RedisCluster): Promise<void> {
  await changeRedis(nodes);
}

const PRODUCTS: Readonly<Record<string, Product>> = {
  etcd: {
    program: "etcd",
    factory: etcd,
    start: () => rotating(startEtcd({ password: OLD }), changeEtcd),
    outlives: true,
  },
  consul: {
    program: "consul",
    factory: consul,
    start: () => rotating(startConsulWithToken(), changeConsul),
    outlives: true,
  },
  memcached: {
    program: "memcached",
    factory: memcached,
    start: () => rotating(startMemcached({ password: OLD }), changeMemcached),
    outlives: true,
  },
  postgresql: {
    program: "postgres",
    factory: postgresql,
    start: () => rotating(startPostgresql({ password: OLD }), changePostgresql),
    outlives: false,
  },
  mariadb: {
    program: "mariadbd",
    factory: mysql,
    start: () => rotating(startMariadb({ password: OLD }), changeMysql),
    outlives: false,
  },
  mysql: {
    program: "mysqld",
    suite: "sid",
    factory: mysql,
    start: () => rotating(startMysql({ password: OLD }), changeMysql),
    outlives: false,
  },
  "redis with sentinels": {
    program: "redis-server",
    factory: redis,
    start: () => rotating(startRedisSentinels({ password: OLD }), changeSentinels),
    outlives: true,
  },
  "a cluster of redis": {
    program: "redis-server",
    factory: redis,
    start: () => rotating(startRedisCluster({ password: OLD, lopsided: true }), changeCluster),
    outlives: true,
  },
};

/** The URL of a server with the user alone, if there is one. */
function withoutPassword(url: string): string {
  return url.replace(/:\/\/([^:@/]*):[^@/]*@/, (_, user: string) => `://${user}${user && "@"}`);
}

/** Fails unless nobody is let in, and no secret is told. */
async function checkRefusal(backend: Backend): Promise<void> {
  const error = await within(failure(getCoordinator(backend, { ttl })), "it is refused", 30_000);
  assert.ok(error instanceof ConnectionError, inspect(error));
  assert.doesNotMatch(inspect(error, { depth: Infinity, showHidden: true }), SECRETS);
}

for (const [name, { program, suite, factory, start, outlives }] of Object.entries(PRODUCTS)) {
  const options = { skip: !hasServer(program, suite), timeout: 120_000 };

  test(`${name}: a password that changes while a lock is held is asked for anew`, options, async () => {
    const { server, rotate } = await start();
    await using _ = server;
    await using proxy = await startProxy(server.port);
    const told = new Set<string>();
    let password = OLD;
    const url = withoutPassword(server.urlAt(proxy.port));
    const backend = factory(url, {
      password: () => {
        told.add(password);
        return password;
      },
    });
    await using coord = await getCoordinator(backend, { ttl });
    const lease = await coord.lock("l").acquire();
    await rotate();
    password = NEW;
    proxy.cut();
    if (outlives) {
      await eventually(async () => await lease.isHeld().catch(() => false), 20_000);
      assert.equal(lease.signal.aborted, false);
      assert.equal(await lease.release(), true);
    } else await aborted(lease.signal, "the loss is told");
    const next = await eventually(() => coord.lock("l").acquire(), 20_000);
    assert.ok(next.token > lease.token);
    assert.deepEqual([...told], [OLD, NEW]);
    for (const shown of [coord, backend, next]) {
      assert.doesNotMatch(inspect(shown, { depth: Infinity, showHidden: true }), SECRETS);
    }
    await checkRefusal(factory(url, { password: OLD }));
  });
}

test(
  "zookeeper: a password is part of each node, so none can be rotated: with another the hold stays, and calls say why",
  { skip: !hasServer("zookeeper"), timeout: 120_000 },
  async () => {
    await using server = await startZooKeeper({ login: `coord:${OLD}` });
    await using proxy = await startProxy(server.port);
    let password = OLD;
    const backend = zookeeper(withoutPassword(server.urlAt(proxy.port)), { password: () => password });
    await using coord = await getCoordinator(backend, { ttl });
    const lease = await coord.lock("l").acquire();
    password = NEW;
    proxy.cut();
    const error = await eventually(() => failure(lease.isHeld()), 20_000);
    assert.ok(error instanceof ConnectionError, inspect(error));
    assert.match(error.message, /NO_AUTH, a right is missing: .*made with another password/);
    assert.doesNotMatch(inspect(error, { depth: Infinity, showHidden: true }), SECRETS);
    assert.equal(lease.signal.aborted, false);
    password = OLD;
    proxy.cut();
    await eventually(async () => await lease.isHeld().catch(() => false), 20_000);
    assert.equal(lease.signal.aborted, false);
    assert.equal(await lease.release(), true);
  },
);
