// Existing clients of drivers that take none are refused with the reason, before anything connects.
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { inspect } from "node:util";
import Consul from "consul";
import { Etcd3 } from "etcd3";
import { createClient } from "node-zookeeper-client";
import { consul } from "../../drivers/consul.ts";
import { etcd } from "../../drivers/etcd.ts";
import { memcached } from "../../drivers/memcached.ts";
import { zookeeper } from "../../drivers/zookeeper.ts";

/** Fails unless the client is refused in these words, without what it knows. */
function checkRefusal(factory: (url: string) => unknown, client: object, reason: RegExp): void {
  // Types refuse it already.
  assert.throws(() => factory(client as unknown as string), (error: Error) => {
    assert.ok(error instanceof TypeError);
    assert.match(error.message, reason);
    assert.match(error.message, /existing client.*want a URL/);
    assert.doesNotMatch(inspect(error, { depth: Infinity, showHidden: true }), /s3cr3t/);
    return true;
  });
}

test("etcd: an existing client is refused, since nobody can read its settings", () => {
  const client = new Etcd3({ hosts: "127.0.0.1:1", auth: { username: "root", password: "s3cr3t" } });
  checkRefusal(etcd, client, /its servers, its user and its certificates cannot be read/);
  checkRefusal(etcd, client.namespace("app"), /cannot be read/);
  client.close();
});

test("consul: an existing client is refused, since nobody can read its settings", () => {
  checkRefusal(consul, new Consul({ defaults: { token: "s3cr3t" } }), /its token .* cannot be read/);
});

test("zookeeper: an existing client is refused, since all on its session have one fate", () => {
  const client = createClient("127.0.0.1:1");
  client.addAuthInfo("digest", Buffer.from("coord:s3cr3t"));
  checkRefusal(zookeeper, client, /one fate/);
});

test("memcached: what is no URL is refused, since clients speak another protocol", () => {
  checkRefusal(
    memcached,
    { servers: [{ host: "127.0.0.1", port: 1, password: "s3cr3t" }] },
    /another protocol/,
  );
});

test("a URL object is no client", () => {
  for (const factory of [consul, etcd, memcached, zookeeper]) {
    assert.ok(factory(new URL(`${factory.name}://127.0.0.1:1`)));
  }
});
