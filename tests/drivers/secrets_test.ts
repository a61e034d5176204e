// No secret is ever printed: looked for in all that a process says that prints everything it can get hold of.
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { outputOf } from "../processes/output.ts";
import { commandFor, currentRuntime } from "../processes/runtimes.ts";
import { hasServer } from "../servers/available.ts";
import { findBinary } from "../servers/binaries.ts";
import { Authority } from "../servers/certificates.ts";
import { startConsul } from "../servers/consul.ts";
import { startEtcd } from "../servers/etcd.ts";
import { startMemcached } from "../servers/memcached.ts";
import { startMariadb } from "../servers/mysql.ts";
import { freePort } from "../servers/ports.ts";
import { startPostgresql } from "../servers/postgresql.ts";
import { startRedis } from "../servers/redis.ts";
import { startRedisSentinels } from "../servers/redis_sentinels.ts";
import type { Server } from "../servers/server.ts";
import { startZooKeeper } from "../servers/zookeeper.ts";
import type { Task } from "./secrets_worker.ts";

/** In every part of the secrets, and nowhere else. */
const MARK = "zQ7x";
/** With all that is encoded somewhere. */
const SECRET = `${MARK}/${MARK}?&=%${MARK}#@:+${MARK}"${MARK}`;
const WRONG = `${MARK}-wrong "/?#@:&=%+`;

interface Product {
  readonly driver: Task["driver"];
  readonly program: string;
  start(): Promise<Server>;
}

const PRODUCTS: Readonly<Record<string, Product>> = {
  redis: {
    driver: "redis",
    program: "redis-server",
    start: () => startRedis({ tls: true, password: SECRET }),
  },
  redis_sentinel: {
    driver: "redis",
    program: "redis-server",
    start: () => startRedisSentinels({ tls: true, password: SECRET, sentinelPassword: `${SECRET}2` }),
  },
  etcd: { driver: "etcd", program: "etcd", start: () => startEtcd({ tls: true, password: SECRET }) },
  consul: { driver: "consul", program: "consul", start: () => startConsul({ tls: true, token: SECRET }) },
  zookeeper: {
    driver: "zookeeper",
    program: "zookeeper",
    start: () => {
      // A client's certificate would do in place of the password.
      const config = ["ssl.clientAuth=none"];
      return startZooKeeper({ tls: true, login: `coord:${SECRET}`, suite: "bookworm", config });
    },
  },
  memcached: {
    driver: "memcached",
    program: "memcached",
    start: () => startMemcached({ tls: true, password: SECRET }),
  },
  postgresql: {
    driver: "postgresql",
    program: "postgres",
    start: () => startPostgresql({ tls: true, password: SECRET }),
  },
  mariadb: {
    driver: "mysql",
    program: "mariadbd",
    start: () => startMariadb({ tls: true, password: SECRET }),
  },
};

/** How a secret may look: by itself, encoded, or as bytes. */
function looksOf(secret: string): Map<string, string> {
  const bytes = Buffer.from(secret);
  const looks = new Map([
    ["raw", secret],
    ["percent-encoded", encodeURIComponent(secret)],
    ["as a form has it", `${new URLSearchParams({ "": secret })}`.slice(1)],
    ["as JSON", JSON.stringify(secret).slice(1, -1)],
    ["as JSON in JSON", JSON.stringify(JSON.stringify(secret)).slice(3, -3)],
    ["in hexadecimal", bytes.toString("hex")],
    ["as Node prints bytes", bytes.toString("hex").replaceAll(/(..)(?!$)/g, "$1 ")],
    ["as a list of bytes", [...bytes].join(", ")],
  ]);
  for (const before of [0, 1, 2]) {
    // Whatever stands beside it: only the digits that are of the secret alone.
    const digits = Buffer.concat([Buffer.alloc(before), bytes]).toString("base64");
    looks.set(`in base64 after ${before}`, digits.slice(Math.ceil(before * 8 / 6), -4));
  }
  return looks;
}

/** Where a secret is to be seen. */
function leaks(said: string): string[] {
  const found = [];
  const lists = said.replaceAll(/,\s+/g, ", ");
  for (const secret of [SECRET, WRONG]) {
    for (const [how, look] of looksOf(secret)) if (lists.includes(look)) found.push(how);
  }
  // Parts of a secret are too much as well.
  return [...found, ...said.split("\n").filter((line) => line.includes(MARK)).slice(0, 5)];
}

/** The secrets of a URL replaced, in whatever order they come. */
function replaced(url: string, by: (secret: string) => string): string {
  return url.replaceAll(encodeURIComponent(SECRET), by(SECRET));
}

function urlsOf(
  server: Server,
  nowhere: number,
  unknown: Authority,
): Pick<Task, "url" | "viaProxy" | "bare" | "refused"> {
  const { url: here } = server;
  const wrong = replaced(here, () => encodeURIComponent(WRONG));
  const address = /@[^?/]+/.exec(here)?.[0] ?? "";
  return {
    url: here,
    viaProxy: server.urlAt(65_535).replaceAll("65535", "PORT"),
    bare: here.replace(/:\/\/([^:@/]*):[^@/]*@/, (_, user: string) => `://${user}${user && "@"}`),
    refused: {
      "wrong password": wrong,
      // Where there are two, that of the sentinels is right.
      "wrong password of a server": here.replace(encodeURIComponent(SECRET), encodeURIComponent(WRONG)),
      "no server": here.replace(address, `@127.0.0.1:${nowhere}`),
      "unknown certificate": here.replace(/ca=[^&]*/, `ca=${unknown.ca}`),
      "no file": here.replace(/ca=[^&]*/, "ca=/nowhere/ca.pem"),
      "bad option": `${here}&memberid=m`,
      "bad value": `${here}&ttl=soon`,
      "bad options in the query": `${here}&password=${MARK}&${MARK}`,
      "bad scheme": here.replace(/^[^:]+/, "nothing"),
      "bad path": here.replace(/\?/, "/a@b?"),
      "bad port": here.replace(address, "@127.0.0.1:port"),
      "bad percent": replaced(here, (secret) => secret.replaceAll("/", "%2F")),
      "not encoded": replaced(here, (secret) => secret),
      "slash not encoded": replaced(here, () => `1/${MARK}`),
      "question mark not encoded": replaced(here, () => `1?${MARK}`),
      "without a host": here.replace(address, ""),
      "without a scheme": here.replace(/^[^:]+:\/\//, ""),
      "without slashes": here.replace("//", ""),
    },
  };
}

function run(task: Task) {
  return outputOf(commandFor(currentRuntime, new URL("secrets_worker.ts", import.meta.url), [
    JSON.stringify(task),
  ]));
}

for (const [name, { driver, program, start }] of Object.entries(PRODUCTS)) {
  const options = { skip: !hasServer(program) || !findBinary("openssl"), timeout: 90_000 };

  test(`${name}: no secret is printed, whatever is printed`, options, async () => {
    const dir = mkdtempSync(join(tmpdir(), "coord-secrets-"));
    try {
      await using server = await start();
      const urls = urlsOf(server, await freePort(), new Authority(join(dir, "tls"), true));
      const task: Task = { driver, password: SECRET, port: server.port, ...urls };
      const { said, code } = await run(task);
      assert.deepEqual(leaks(said), []);
      assert.match(said, /THE END\n/);
      assert.equal(code, 0);
      assert.match(said, /AWAY ConnectionError/);
      for (const label of Object.keys(urls.refused)) assert.ok(said.includes(`REFUSED: ${label} `), label);
      assert.doesNotMatch(said, /NOT REFUSED/);
      const refusal = await run({ ...task, uncaught: urls.refused["wrong password"] ?? "" });
      assert.deepEqual(leaks(refusal.said), []);
      assert.match(refusal.said, /ConnectionError/);
      assert.notEqual(refusal.code, 0);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
}
