// What only a redis can refuse, and what becomes of a hold when a password changes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { Redis } from "ioredis";
import { ConnectionError } from "../../core/errors.ts";
import { redis } from "../../drivers/redis.ts";
import { getCoordinator } from "../../mod.ts";
import { failure, within } from "../conformance/waiting.ts";
import { findBinary } from "../servers/binaries.ts";
import { startRedis } from "../servers/redis.ts";
import { redisRights } from "../servers/redis_rights.ts";
import { until } from "./redis_world.ts";

const OPTIONS = { skip: !findBinary("redis-server"), timeout: 60_000 };
const SECRETS = /s3cr3t|wr0ng|n3xt/;
const ttl = 12_000;

/** All that an object shows of itself. */
function shown(value: unknown): string {
  return inspect(value, { depth: Infinity, showHidden: true });
}

async function refusal(url: string): Promise<string> {
  const error = await within(failure(getCoordinator(url, { ttl })), "it is refused");
  assert.ok(error instanceof ConnectionError, shown(error));
  assert.doesNotMatch(shown(error), SECRETS);
  return error.message;
}

test("a wrong password, none, and a user that does not exist are told", OPTIONS, async () => {
  await using server = await startRedis({ password: "s3cr3t" });
  assert.match(await refusal(server.url.replace("s3cr3t", "wr0ng")), /WRONGPASS/);
  assert.match(await refusal(server.url.replace(":s3cr3t@", "")), /NOAUTH/);
  assert.match(await refusal(server.url.replace("://:", "://nobody:")), /WRONGPASS/);
});

test("rediss: is redis: with TLS [C40]", OPTIONS, async () => {
  await using server = await startRedis({ tls: true, password: "s3cr3t" });
  assert.match(server.url, /^rediss:/);
  await using coord = await getCoordinator(server.url, { ttl });
  await using lease = await coord.lock("l").acquire();
  assert.equal(await lease.isHeld(), true);
  assert.match(
    await refusal(server.url.replace(/^rediss/, "redis").replace(/\?.*/, "")),
    /closed the connection as it was made: .* or it wants TLS/,
  );
});

test("a right that lacks is told by the call that needs it", OPTIONS, async () => {
  const rights = redisRights().filter((word) => word !== "+zadd");
  await using server = await startRedis({ password: "s3cr3t", rights });
  await using one = await getCoordinator(server.url, { ttl });
  await using two = await getCoordinator(server.url, { ttl });
  await using lease = await one.lock("l").acquire();
  const error = await within(failure(two.lock("l").acquire()), "it is refused");
  assert.ok(error instanceof ConnectionError, shown(error));
  assert.match(error.message, /can't run this command|NOPERM/);
  assert.doesNotMatch(shown(error), SECRETS);
  assert.equal(await lease.isHeld(), true);
});

test("a replica is refused, since it can only be read", OPTIONS, async () => {
  await using master = await startRedis();
  await using replica = await startRedis({ args: ["--replicaof", "127.0.0.1", `${master.port}`] });
  assert.match(await refusal(replica.url), /it is a replica, which can only be read/);
});

test(
  "a server that becomes a replica serves no more, and serves again when it is none",
  OPTIONS,
  async () => {
    await using master = await startRedis();
    await using server = await startRedis();
    const client = new Redis(server.port);
    try {
      await using coord = await getCoordinator(server.url, { ttl, memberId: "m" });
      await client.call("replicaof", ["127.0.0.1", master.port]);
      assert.ok(await within(failure(coord.lock("l").acquire()), "it is refused") instanceof ConnectionError);
      await client.call("replicaof", ["no", "one"]);
      await until(() => coord.state !== "suspended", "it is back");
    } finally {
      client.disconnect();
    }
  },
);

test(
  "a password that changes while a lock is held: it stays held, and the next connection asks anew",
  OPTIONS,
  async () => {
    await using server = await startRedis({ password: "s3cr3t" });
    const client = new Redis(server.url, { retryStrategy: null });
    client.on("error", () => {}); // It is cut off too.
    let [password, asked] = ["s3cr3t", 0];
    const backend = redis(server.url.replace(":s3cr3t@", ""), {
      password: () => {
        asked++;
        return password;
      },
    });
    try {
      await using coord = await getCoordinator(backend, { ttl });
      const lease = await coord.lock("l").acquire();
      await client.call("config", ["set", "requirepass", "n3xt"]);
      assert.equal(await lease.isHeld(), true);
      const before = asked;
      password = "n3xt";
      await client.call("client", ["kill", "type", "pubsub"]);
      await until(() => asked > before, "the password is asked for again");
      assert.equal(await within(lease.isHeld(), "it is answered"), true);
      assert.equal(lease.signal.aborted, false);
      assert.equal(await lease.release(), true);
      assert.match(await refusal(server.url), /WRONGPASS/);
    } finally {
      client.disconnect();
    }
  },
);

test("no secret shows in what is printed", OPTIONS, async () => {
  await using server = await startRedis({ password: "s3cr3t" });
  const options = { password: "s3cr3t", sentinelPassword: "s3cr3t", sentinel: "m" };
  const backends = [
    redis(server.url),
    redis(server.url, { password: () => "s3cr3t" }),
    redis("redis://a", options),
  ];
  await using coord = await getCoordinator(redis(server.url), { ttl });
  await using lease = await coord.lock("l").acquire();
  for (const value of [...backends, coord, lease, coord.lock("l")]) {
    assert.doesNotMatch(`${shown(value)} ${inspect(value)} ${JSON.stringify(value, textOfBigInt)}`, SECRETS);
  }
});

function textOfBigInt(_: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}
