import assert from "node:assert/strict";
import { test } from "node:test";
import {
  boolean,
  milliseconds,
  oneOf,
  parseAddress,
  type Readers,
  readOptions,
  redact,
  schemeOf,
  text,
} from "../../internal/url.ts";

interface Options {
  database?: number;
  sentinel?: string;
  cluster?: boolean;
  mode?: "fast" | "safe";
}

const READERS: Readers<Options> = {
  database: (value) => Number(value),
  sentinel: text,
  cluster: boolean,
  mode: oneOf("fast", "safe"),
};

function read(query: string, given: Options & Record<string, unknown> = {}) {
  return readOptions<Options>("redis", parseAddress(`redis://h?${query}`).query, given, READERS);
}

test("parseAddress() takes a URL apart", () => {
  assert.deepEqual(parseAddress("REDIS://us%40er:p%3Ass@h1:6379/2?a=1&b=%C3%A9+x"), {
    scheme: "redis",
    user: "us@er",
    password: "p:ss",
    hosts: [{ host: "h1", port: 6379 }],
    path: "/2",
    query: new Map([["a", "1"], ["b", "é x"]]),
  });
});

test("parseAddress() takes several hosts, of which no URL can be made [C35]", () => {
  const { hosts } = parseAddress("etcd://10.0.0.1:2379,[::1]:2380,name?namespace=jobs");
  assert.deepEqual(hosts, [{ host: "10.0.0.1", port: 2379 }, { host: "::1", port: 2380 }, {
    host: "name",
    port: undefined,
  }]);
});

test("parseAddress() takes a password without a user, and with an @ in it", () => {
  const { user, password, hosts } = parseAddress("redis://:p@ss@h");
  assert.deepEqual([user, password, hosts[0]?.host], [undefined, "p@ss", "h"]);
});

test("parseAddress() takes a path alone, and a URL object", () => {
  assert.equal(parseAddress("file:///srv/a%20b").path, "/srv/a b");
  assert.equal(parseAddress(new URL("file:///srv/a b")).path, "/srv/a b");
  assert.deepEqual(parseAddress("zake:").hosts, []);
});

test("parseAddress() refuses what is no URL of a backend, without its credentials [R3, C24]", () => {
  for (
    const url of [
      "redis://u:s3cret@h:99999",
      "redis://u:s3cret@h:x",
      "redis://u:s3%zzcret@h",
      "redis://u:s3cret@h#f",
      "redis://u:s3cret@h?ttl=1&s3cret&s3cret",
    ]
  ) {
    assert.throws(() => parseAddress(url), (error: Error) => {
      assert.ok(error instanceof TypeError);
      assert.doesNotMatch(`${error.message} ${error.stack}`, /s3|cret/);
      return true;
    });
  }
});

test("a # is written as %23, and what has one says so [R3]", () => {
  for (const url of ["file:///srv/a#b", "redis://:pass#word@h"]) {
    assert.throws(() => parseAddress(url), /"#", which is written as "%23"/);
  }
  assert.throws(() => parseAddress("localhost"), (error: Error) => !error.message.includes("#"));
  assert.equal(parseAddress("file:///srv/a%23b").path, "/srv/a#b");
});

test("schemeOf() wants a scheme [R3]", () => {
  assert.equal(schemeOf("ETCD3+http://h"), "etcd3+http");
  for (const url of ["", "localhost", "//h", ":x"]) assert.throws(() => schemeOf(url), TypeError);
});

test("redact() leaves no credentials and no query [C24]", () => {
  const urls = {
    "redis://u:s3cret@h1,h2:1/2?password=s3cret#s3cret": '"redis://***@h1,h2:1/2"',
    "redis://:s3@cret@h": '"redis://***@h"',
    "redis://s3cret@h": '"redis://***@h"',
    "redis://h/2": '"redis://h/2"',
    "not a url": '"not a url"',
    "u:s3cret@h": '"u:***@h"',
  };
  for (const [url, shown] of Object.entries(urls)) assert.equal(redact(url), shown);
});

test("readOptions() lets code win over the query [C22]", () => {
  const { options, defaults } = read(
    "database=1&sentinel=s&ttl=50&namespace=n&memberId=m&margin=5&heartbeat=manual",
    {
      database: 2,
    },
  );
  assert.deepEqual(options, { database: 2, sentinel: "s" });
  assert.deepEqual(defaults, { ttl: 50, namespace: "n", memberId: "m", margin: 5, heartbeat: "manual" });
});

test("readOptions() takes what is undefined in code from the query [C22]", () => {
  // A caller who passes on an option that may be missing, where types allow that.
  const given = { database: undefined } as unknown as Options & Record<string, unknown>;
  assert.deepEqual(read("database=1", given).options, { database: 1 });
});

test("readOptions() names the nearest known option [C23]", () => {
  assert.throws(() => read("sentinal=s"), /"sentinal".*did you mean "sentinel"\?/);
  assert.throws(() => read("TTL=5"), /did you mean "ttl"\?/);
  assert.throws(() => read("", { clutser: true }), /"clutser".*did you mean "cluster"\?/);
  assert.throws(() => read("__proto__=1"), TypeError);
});

test("readOptions() refuses a value that cannot be [R3]", () => {
  assert.throws(() => read("cluster=yes"), /want true or false/);
  assert.throws(() => read("mode=slow"), /want fast or safe/);
  assert.throws(() => read("ttl=soon"), RangeError);
  assert.throws(() => milliseconds("", "ttl"), RangeError);
  assert.throws(() => milliseconds("-1", "ttl"), RangeError);
});

test("parseAddress() and redact() show no part of a password that is not encoded, nor one without a host", () => {
  for (
    const url of [
      "redis://:cr/et@h",
      "redis://:cr?et@h",
      "redis://:cr#et@h",
      "redis://:cr/et",
      "redis://u:cret",
      "redis://u:1/cret@h",
      "redis://u:cr@et:x/cret@h",
      "redis::cret@h",
      "redis:u:cret@h/0",
    ]
  ) {
    assert.doesNotMatch(redact(url), /cr|et/, url);
    assert.throws(() => parseAddress(url), (error: Error) => {
      assert.ok(error instanceof TypeError);
      assert.doesNotMatch(
        `${error.message} ${error.stack?.replace(/^ +at .*/gm, "")}`,
        /"[^"]*(cr|et)[^"]*"/,
      );
      return true;
    }, url);
  }
});

test("an @ in a path is written as %40 where there are hosts", () => {
  assert.throws(() => parseAddress("zookeeper://h/a@b"), /in a path it is "%40"/);
  assert.equal(parseAddress("zookeeper://h/a%40b").path, "/a@b");
  assert.equal(parseAddress("file:///home/me@work").path, "/home/me@work");
  assert.equal(parseAddress("file:me@work").path, "me@work");
});

test("readOptions() does not name what may be the rest of a password", () => {
  for (const query of ["password=s3cr&et", "sentinelPassword=s3cr&et=5", "et@h"]) {
    const { query: parsed } = parseAddress(`redis://h?${query}`);
    const readers = { ...READERS, password: text, sentinelPassword: text };
    assert.throws(() => readOptions("redis", parsed, {}, readers), (error: Error) => {
      assert.match(error.message, /"&" is "%26"/);
      assert.doesNotMatch(error.message, /"et/);
      return true;
    });
  }
});
