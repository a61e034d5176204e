// A password that changes while a lock is held, on every driver that logs in; redis has a test of its own.
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
import type { ServerProcess } from "../servers/server.ts";
import { adminOf } from "./mysql_world.ts";

/** A UUID, as Consul wants its tokens. */
const [OLD, NEW] = ["5d9a7a2e-6a0c-4a3c-9d5e-0c5f0b7f1a11", "8f0f0f0e-0b1e-4a44-8d70-2f5f2f3f7a22"];
const SECRETS = new RegExp(`${OLD}|${NEW}`);
const ROOT = "r00t-t0ken";
const ttl = 15_000;

interface Product {
  readonly program: string;
  readonly suite?: Suite;
  readonly factory: (url: string, options: { password: Secret }) => Backend;
  start(): Promise<ServerProcess>;
  /** Lets nobody in any more who says the old password. */
  rotate(server: ServerProcess): Promise<void>;
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

const PRODUCTS: Readonly<Record<string, Product>> = {
  etcd: {
    program: "etcd",
    factory: etcd,
    start: () => startEtcd({ password: OLD }),
    rotate: changeEtcd,
    outlives: true,
  },
  consul: {
    program: "consul",
    factory: consul,
    start: startConsulWithToken,
    rotate: async ({ port }) => {
      await addToken(port, NEW);
      await govern(port, `DELETE /v1/acl/token/${OLD}`, {});
    },
    outlives: true,
  },
  memcached: {
    program: "memcached",
    factory: memcached,
    start: () => startMemcached({ password: OLD }),
    rotate: changeMemcached,
    outlives: true,
  },
  postgresql: {
    program: "postgres",
    factory: postgresql,
    start: () => startPostgresql({ password: OLD }),
    rotate: changePostgresql,
    outlives: false,
  },
  mariadb: {
    program: "mariadbd",
    factory: mysql,
    start: () => startMariadb({ password: OLD }),
    rotate: changeMysql,
    outlives: false,
  },
  mysql: {
    program: "mysqld",
    suite: "sid",
    factory: mysql,
    start: () => startMysql({ password: OLD }),
    rotate: changeMysql,
    outlives: false,
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

for (const [name, { program, suite, factory, start, rotate, outlives }] of Object.entries(PRODUCTS)) {
  const options = { skip: !hasServer(program, suite), timeout: 120_000 };

  test(`${name}: a password that changes while a lock is held is asked for anew`, options, async () => {
    await using server = await start();
    await using proxy = await startProxy(server.port);
    let password = OLD;
    const url = withoutPassword(server.urlAt(proxy.port));
    const backend = factory(url, { password: () => password });
    await using coord = await getCoordinator(backend, { ttl });
    const lease = await coord.lock("l").acquire();
    await rotate(server);
    password = NEW;
    proxy.cut();
    if (outlives) {
      await eventually(async () => await lease.isHeld().catch(() => false), 20_000);
      assert.equal(lease.signal.aborted, false);
      assert.equal(await lease.release(), true);
    } else await aborted(lease.signal, "the loss is told");
    const next = await eventually(() => coord.lock("l").acquire(), 20_000);
    assert.ok(next.token > lease.token);
    for (const shown of [coord, backend, next]) {
      assert.doesNotMatch(inspect(shown, { depth: Infinity, showHidden: true }), SECRETS);
    }
    await checkRefusal(factory(url, { password: OLD }));
  });
}
