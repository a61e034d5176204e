import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { inspect } from "node:util";
import { Cluster, Redis } from "ioredis";
import { redis } from "../../drivers/redis.ts";
import { getCoordinator } from "../../mod.ts";
import { findBinary } from "../servers/binaries.ts";
import { startRedis } from "../servers/redis.ts";
import { startRedisSentinels } from "../servers/redis_sentinels.ts";

const OPTIONS = { skip: !findBinary("redis-server"), timeout: 60_000 };
const ttl = 12_000;

test(
  "an existing client: its server, its password and its database are used, on another connection",
  OPTIONS,
  async () => {
    await using server = await startRedis({ password: "s3cr3t" });
    const client = new Redis(`${server.url}/3`);
    try {
      await using coord = await getCoordinator(redis(client), { ttl });
      await using _ = await coord.lock("l").acquire();
      assert.match(String(await client.get("{tooz:l:l}:x")), /^\d+ /);
      assert.match(String(await client.call("client", ["list"])), /(id=.*\n){2}/);
      client.disconnect();
      assert.equal(await coord.lock("l").tryAcquire(), undefined);
    } finally {
      client.disconnect();
    }
  },
);

test("an existing client that does not connect yet, queues and has TLS is as good", OPTIONS, async () => {
  await using server = await startRedis({ tls: true });
  const query = new URL(server.url.replace("rediss", "http")).searchParams;
  const read = (name: string) => readFileSync(query.get(name) ?? "", "utf8");
  const tls = { ca: read("ca"), cert: read("cert"), key: read("key") };
  const client = new Redis({ port: server.port, host: "127.0.0.1", lazyConnect: true, tls });
  await using coord = await getCoordinator(redis(client, { timeout: 3_000 }), { ttl });
  assert.equal(coord.state, "connected");
  assert.equal(client.status, "wait", "it was left alone");
  client.disconnect();
});

test("an existing client of sentinels", OPTIONS, async () => {
  await using cluster = await startRedisSentinels();
  const sentinels = cluster.sentinels.map(({ port }) => ({ host: "127.0.0.1", port }));
  const client = new Redis({ sentinels, name: "mymaster", lazyConnect: true });
  await using coord = await getCoordinator(redis(client), { ttl });
  await using lease = await coord.lock("l").acquire();
  assert.ok(lease.token > 0n);
  client.disconnect();
});

test("an existing client that cannot be used is refused with the reason", () => {
  const refused: [object, RegExp][] = [
    [{ path: "/tmp/redis.sock" }, /a Unix socket/],
    [{ keyPrefix: "app:" }, /"keyPrefix": want the option "namespace"/],
    [{ sentinels: [{ host: "a" }], name: "m", role: "slave" }, /a replica/],
    [{ tls: { ciphers: "x" } }, /"ciphers" of "tls" of redis/],
  ];
  for (const [options, message] of refused) {
    const client = new Redis({ lazyConnect: true, password: "s3cr3t", ...options });
    assert.throws(() => redis(client), (error: Error) => {
      assert.match(error.message, message);
      assert.doesNotMatch(inspect(error, { depth: Infinity, showHidden: true }), /s3cr3t/);
      return true;
    });
    client.disconnect();
  }
  const cluster = new Cluster([{ host: "127.0.0.1", port: 1 }], { lazyConnect: true });
  assert.throws(() => redis(cluster), /one of a cluster: want a URL with "cluster=true"/);
  cluster.disconnect();
});
