// What is wrong with a certificate or a password, on every driver that connects to servers: one clear error each.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { inspect } from "node:util";
import { ConnectionError, CoordError, LockLostError } from "../../core/errors.ts";
import { getCoordinator } from "../../mod.ts";
import { aborted, eventually, failure, within } from "../conformance/waiting.ts";
import { currentRuntime } from "../processes/runtimes.ts";
import { hasServer } from "../servers/available.ts";
import { findBinary, type Suite } from "../servers/binaries.ts";
import { Authority, type Particulars } from "../servers/certificates.ts";
import { startConsul } from "../servers/consul.ts";
import { startEtcd } from "../servers/etcd.ts";
import { startMemcached } from "../servers/memcached.ts";
import { startMariadb, startMysql } from "../servers/mysql.ts";
import { startPostgresql } from "../servers/postgresql.ts";
import { startRedis } from "../servers/redis.ts";
import type { Server } from "../servers/server.ts";
import { startZooKeeper } from "../servers/zookeeper.ts";

interface Product {
  readonly program: string;
  readonly suite?: Suite;
  start(tls: boolean | Particulars): Promise<Server>;
  /** One that asks for a password, without TLS; default: what `start` gives. */
  readonly guarded?: () => Promise<Server>;
  /** What is said of a wrong password, and what to do. */
  readonly wrong: RegExp;
  /** Whether the server tells why it refuses a certificate. Default true. */
  readonly explains?: boolean;
}

const SEE = 'see the options "user" and "password"';

const PRODUCTS: Readonly<Record<string, Product>> = {
  redis: {
    program: "redis-server",
    start: (tls) => startRedis({ tls, password: "s3cr3t" }),
    wrong: new RegExp(`: WRONGPASS .*: ${SEE}$`),
  },
  etcd: {
    program: "etcd",
    // Users are made over HTTP, which an etcd does not serve whose own certificate is not good.
    start: (tls) => startEtcd({ tls }),
    guarded: () => startEtcd({ password: "s3cr3t" }),
    wrong: new RegExp(`authentication failed, invalid user ID or password: ${SEE}$`),
    explains: false,
  },
  consul: {
    program: "consul",
    start: (tls) => startConsul({ tls, token: "s3cr3t" }),
    wrong: /: ACL not found: the server knows no such token, see the option "password"$/,
    explains: false,
  },
  zookeeper: {
    program: "zookeeper",
    suite: "bookworm",
    start: (tls) => startZooKeeper({ tls, login: "coord:s3cr3t", suite: "bookworm" }),
    wrong: /NO_AUTH, a right is missing: .*made with another password/,
    explains: false,
  },
  postgresql: {
    program: "postgres",
    start: (tls) => startPostgresql({ tls, password: "s3cr3t" }),
    wrong: new RegExp(`: password authentication failed for user "postgres": ${SEE}$`),
  },
  mariadb: {
    program: "mariadbd",
    start: (tls) => startMariadb({ tls, password: "s3cr3t" }),
    wrong: /: the server refuses the user: the password is wrong, or it demands another certificate$/,
  },
  mysql: {
    program: "mysqld",
    suite: "sid",
    start: (tls) => startMysql({ tls, password: "s3cr3t" }),
    wrong: /: the server refuses the user: the password is wrong, or it demands another certificate$/,
  },
  memcached: {
    program: "memcached",
    start: (tls) => startMemcached({ tls, password: "s3cr3t" }),
    wrong: new RegExp(`: the server answered "CLIENT_ERROR authentication failure": ${SEE}$`),
  },
};

/** Deno does not hear what etcd says before it closes the connection. */
const CERTIFICATE = /certificate of the client|another certificate/;

const DAY = 86_400_000;
const TTL = 12_000;

/** What is said to somebody who tries to connect, all that an error carries included. */
async function refusal(url: string): Promise<string> {
  const error = await within(failure(getCoordinator(url, { ttl: 6_000 })), "it is refused", 30_000);
  assert.ok(error instanceof ConnectionError, inspect(error));
  return messageOf(error);
}

/** What is said for people, with nothing secret, and more than that a socket is closed. */
function messageOf(error: unknown): string {
  assert.ok(error instanceof CoordError, inspect(error));
  assert.doesNotMatch(inspect(error, { depth: Infinity, showHidden: true }), /s3cr3t|wr0ng/);
  assert.doesNotMatch(error.message, /EPIPE|ECONNRESET/);
  return error.message;
}

/** Replaces the client's certificate; undefined: by none. */
function withCertificate(url: string, own?: { readonly cert: string; readonly key: string }): string {
  return url.replace(/&cert=[^&]*&key=[^&]*/, own ? `&cert=${own.cert}&key=${own.key}` : "");
}

for (const [name, product] of Object.entries(PRODUCTS)) {
  const { program, suite, start, guarded = () => start(false), wrong, explains = true } = product;
  const options = { skip: !hasServer(program, suite) || !findBinary("openssl"), timeout: 120_000 };

  test(`${name}: a server's certificate that has expired is refused, in these words`, options, async () => {
    await using server = await start({ until: new Date(Date.now() - DAY / 2) });
    assert.match(await refusal(server.url), /the server's certificate has expired/);
  });

  test(
    `${name}: a server's certificate for another host is refused, unless that is asked for`,
    options,
    async () => {
      await using server = await start({ names: "DNS:other.example" });
      assert.match(await refusal(server.url), /the server's certificate is not for this host/);
      const url = new URL(server.url);
      url.searchParams.set("servername", "other.example");
      await using coord = await getCoordinator(url.href, { ttl: TTL });
      assert.equal(coord.state, "connected");
    },
  );

  test(
    `${name}: an authority that is not known is refused, and so is a client's certificate of one`,
    options,
    async () => {
      const dir = mkdtempSync(join(tmpdir(), "coord-authority-"));
      try {
        await using server = await start(true);
        const other = new Authority(join(dir, "tls"), true);
        const url = server.url.replace(/ca=[^&]*/, `ca=${other.ca}`);
        assert.match(await refusal(url), /its authority is not known here: see the option "ca"/);
        assert.match(
          await refusal(withCertificate(server.url, other.server)),
          CERTIFICATE,
        );
        assert.match(
          await refusal(withCertificate(server.url)),
          CERTIFICATE,
        );
        const careless = url.replace(/ca=[^&]*/, "rejectUnauthorized=false");
        await using coord = await getCoordinator(careless, { ttl: TTL });
        assert.equal(coord.state, "connected");
      } finally {
        rmSync(dir, { recursive: true });
      }
    },
  );

  test(
    `${name}: plain text to a server that speaks TLS, and TLS to one that does not, fail in time`,
    options,
    async () => {
      await using secure = await start(true);
      const scheme = { rediss: "redis", "etcd3+https": "etcd", "consul+https": "consul" };
      const plain = secure.url.replace(/\?.*/, "")
        .replace(/^[^:]+/, (word) => scheme[word as keyof typeof scheme] ?? word);
      await refusal(plain);
      await using open = await start(false);
      await refusal(`${open.url}?tls=true&servername=localhost`);
    },
  );

  test(
    `${name}: a certificate of the client that has expired is refused, in these words`,
    options,
    async () => {
      await using server = await start(true);
      const [, folder = ""] = /ca=([^&]*)\/ca\.pem/.exec(server.url) ?? [];
      const expired = new Authority(folder, true).sign({ until: new Date(Date.now() - DAY / 2) });
      const said = await refusal(withCertificate(server.url, expired));
      assert.match(
        said,
        explains ? /: the certificate of the client has expired: see the options/ : CERTIFICATE,
      );
    },
  );

  test(`${name}: a wrong password is refused, in these words`, options, async () => {
    await using server = await guarded();
    await using owner = await getCoordinator(server.url, { ttl: TTL });
    await using lease = await owner.lock("l").acquire();
    const attempt = async () => {
      await using coord = await getCoordinator(server.url.replace("s3cr3t", "wr0ng"), { ttl: 6_000 });
      // A ZooKeeper compares passwords with those of whoever made a node, and only then.
      await coord.lock("l").tryAcquire();
    };
    const error = await within(failure(attempt()), "it is refused", 30_000);
    assert.ok(error instanceof ConnectionError, inspect(error));
    assert.match(messageOf(error), wrong);
    assert.equal(await lease.isHeld(), true);
  });

  test(`${name}: a file that is not there is named`, options, async () => {
    await using server = await start(true);
    const url = server.url.replace(/ca=[^&]*/, "ca=/nowhere/ca.pem");
    assert.match(await refusal(url), /file "\/nowhere\/ca.pem" of "ca" cannot be read/);
  });

  test(
    `${name}: a certificate that expires while a lock is held takes no lock in silence`,
    options,
    async () => {
      // Long enough for the server to start, and for a lock to be taken, on a busy machine.
      const until = new Date(Date.now() + (program === "mysqld" ? 30_000 : 10_000));
      await using server = await start({ until });
      await using coord = await getCoordinator(server.url, { ttl: TTL });
      const lease = await coord.lock("l").acquire();
      await eventually(() => Date.now() > until.getTime() + 1_000, 60_000);
      assert.match(await refusal(server.url), /expired/);
      if (name === "consul" && currentRuntime === "deno") {
        // Each request connects anew, and Deno looks at the certificate each time.
        const said = await within(lease.isHeld().then(String, messageOf), "it is answered", TTL);
        assert.match(said, /the server's certificate has expired|the last good heartbeat|^false$/);
        const loss = await aborted(lease.signal, "the loss is told", 2 * TTL);
        assert.ok(loss instanceof LockLostError, inspect(loss));
      } else {
        // On a connection that stands nobody looks at certificates again, nor in a TLS session that is resumed.
        assert.equal(await within(lease.isHeld(), "the server answers"), true);
        assert.equal(lease.signal.aborted, false);
      }
    },
  );
}
