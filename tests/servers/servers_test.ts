import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { hasServer } from "./available.ts";
import type { Suite } from "./binaries.ts";
import { startConsul } from "./consul.ts";
import { startEtcd } from "./etcd.ts";
import { claim, CLAIMS, freePorts } from "./ports.ts";
import { ask, httpGet, httpSend } from "./probe.ts";
import { isRunning } from "./process_tree.ts";
import { startProxy } from "./proxy.ts";
import { startRedis } from "./redis.ts";
import { startZooKeeper } from "./zookeeper.ts";
import { readNode, writeNode } from "./zookeeper_client.ts";

// On tests, not on suites: Bun leaves a skipped suite out of its report.
const NEEDS_REDIS = { skip: !hasServer("redis-server") };

/** For what takes seconds even on a machine that does nothing else. */
function needs(server: string, suite?: Suite): { skip: boolean; timeout: number } {
  return { skip: !hasServer(server, suite), timeout: 60_000 };
}

/** A connection that stays open: one request, one answer. */
class Line implements Disposable {
  readonly #socket: Socket;
  readonly closed: Promise<void>;

  constructor(port: number) {
    this.#socket = connect(port, "127.0.0.1");
    this.#socket.on("error", () => {}); // Resets are expected here; "close" tells.
    this.closed = new Promise((resolve) => this.#socket.once("close", () => resolve()));
  }

  say(text: string): Promise<string> {
    const answer = new Promise<string>((resolve, reject) => {
      this.#socket.once("data", (bytes: Uint8Array) => resolve(new TextDecoder().decode(bytes)));
      this.#socket.once("close", () => reject(new Error("closed")));
    });
    answer.catch(() => {}); // Some are left behind on purpose.
    this.#socket.write(text);
    return answer;
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}

function silence(ms: number, answer: Promise<string>): Promise<string> {
  return Promise.race([answer, sleep(ms, "silence")]);
}

test("freePorts() never gives one port twice", async () => {
  const ports = await freePorts(50);
  assert.equal(new Set(ports).size, 50);
});

test("a port that another process was given is nobody else's until that has ended", async () => {
  const other = spawn("sleep", ["60"], { stdio: "ignore" });
  const port = Math.floor(Math.random() * 10_000); // Below those that are given.
  const file = join(CLAIMS, String(port));
  mkdirSync(CLAIMS, { recursive: true });
  writeFileSync(file, String(other.pid));
  assert.equal(claim(port), false);
  other.kill("SIGKILL");
  await once(other, "exit");
  assert.equal(claim(port), false, "the next who comes by it has it");
  assert.equal(claim(port), true);
  assert.equal(claim(port), false);
  rmSync(file);
});

describe("a redis server", () => {
  test("starts, and leaves neither process nor directory behind", NEEDS_REDIS, async () => {
    const server = await startRedis();
    const { pid = 0, dir } = server;
    assert.match(await ask(server.port, { send: "PING\r\n", expect: /PONG/ }), /PONG/);
    await server.stop();
    assert.equal(isRunning(pid), false);
    assert.equal(existsSync(dir), false);
    await assert.rejects(ask(server.port, { send: "PING\r\n", expect: /PONG/ }));
  });

  test("keeps its data over restart() when persistent", NEEDS_REDIS, async () => {
    await using server = await startRedis({ persistent: true });
    await ask(server.port, { send: "SET k v\r\n", expect: /OK/ });
    await server.restart();
    assert.match(await ask(server.port, { send: "GET k\r\n", expect: /\r\n/ }), /^\$1\r\nv/);
  });

  test("is empty after restart() when not persistent", NEEDS_REDIS, async () => {
    await using server = await startRedis();
    await ask(server.port, { send: "SET k v\r\n", expect: /OK/ });
    await server.restart();
    assert.match(await ask(server.port, { send: "GET k\r\n", expect: /\r\n/ }), /^\$-1/);
  });

  test("wants the password it was given", NEEDS_REDIS, async () => {
    await using server = await startRedis({ password: "s3cret" });
    assert.match(server.url, /^redis:\/\/:s3cret@127\.0\.0\.1:\d+$/);
    assert.match(await ask(server.port, { send: "PING\r\n", expect: /\r\n/ }), /NOAUTH/);
  });

  test("hangs while paused, and answers when resumed", NEEDS_REDIS, async () => {
    await using server = await startRedis();
    using line = new Line(server.port);
    assert.equal(await line.say("PING\r\n"), "+PONG\r\n");
    server.pause();
    const answer = line.say("PING\r\n");
    assert.equal(await silence(100, answer), "silence");
    server.resume();
    assert.equal(await answer, "+PONG\r\n");
  });

  test("says why it does not start", NEEDS_REDIS, async () => {
    await assert.rejects(startRedis({ args: ["--no-such-option", "1"] }), /Cannot start redis/);
  });
});

describe("a proxy", () => {
  test("forwards, and counts", NEEDS_REDIS, async () => {
    await using server = await startRedis();
    await using proxy = await startProxy(server.port);
    using line = new Line(proxy.port);
    assert.equal(await line.say("PING\r\n"), "+PONG\r\n");
    const expected = { connections: 1, requestBytes: 6, requestChunks: 1, answerBytes: 7, answerChunks: 1 };
    assert.deepEqual({ ...proxy.traffic }, expected);
    assert.equal(proxy.open, 1);
  });

  test("delay() makes both directions late", NEEDS_REDIS, async () => {
    await using server = await startRedis();
    await using proxy = await startProxy(server.port);
    using line = new Line(proxy.port);
    await line.say("PING\r\n");
    proxy.delay(50);
    const start = performance.now();
    await line.say("PING\r\n");
    assert.ok(performance.now() - start >= 98);
  });

  test("hold() delivers late what was sent", NEEDS_REDIS, async () => {
    await using server = await startRedis();
    await using proxy = await startProxy(server.port);
    using line = new Line(proxy.port);
    await line.say("PING\r\n");
    proxy.hold();
    const answer = line.say("PING\r\n");
    assert.equal(await silence(100, answer), "silence");
    proxy.forward();
    assert.equal(await answer, "+PONG\r\n");
  });

  test(
    "blackHole() loses what was sent and keeps connections open, until forward() resets them",
    NEEDS_REDIS,
    async () => {
      await using server = await startRedis();
      await using proxy = await startProxy(server.port);
      using line = new Line(proxy.port);
      await line.say("PING\r\n");
      proxy.blackHole();
      using late = new Line(proxy.port);
      const answers = [line.say("SET lost 1\r\n"), late.say("PING\r\n")];
      assert.equal(await silence(100, Promise.race(answers)), "silence");
      assert.equal(proxy.open, 2);
      proxy.forward();
      await Promise.all([line.closed, late.closed]);
      using fresh = new Line(proxy.port);
      assert.equal(await fresh.say("GET lost\r\n"), "$-1\r\n");
    },
  );

  test("cut() resets what is open and nothing more", NEEDS_REDIS, async () => {
    await using server = await startRedis();
    await using proxy = await startProxy(server.port);
    using line = new Line(proxy.port);
    await line.say("PING\r\n");
    proxy.cut();
    await line.closed;
    using next = new Line(proxy.port);
    assert.equal(await next.say("PING\r\n"), "+PONG\r\n");
  });

  test("refuse() resets new connections until forward()", NEEDS_REDIS, async () => {
    await using server = await startRedis();
    await using proxy = await startProxy(server.port);
    proxy.refuse();
    using line = new Line(proxy.port);
    await line.closed;
    proxy.forward();
    using next = new Line(proxy.port);
    assert.equal(await next.say("PING\r\n"), "+PONG\r\n");
  });

  test("dropAnswer() lets the server act, and loses what it says", NEEDS_REDIS, async () => {
    await using server = await startRedis();
    await using proxy = await startProxy(server.port);
    using line = new Line(proxy.port);
    const dropped = proxy.dropAnswer({ to: "INCR" });
    assert.equal(await line.say("PING\r\n"), "+PONG\r\n");
    await assert.rejects(line.say("INCR n\r\n"), /closed/);
    await dropped;
    using next = new Line(proxy.port);
    assert.equal(await next.say("GET n\r\n"), "$1\r\n1\r\n");
  });
});

describe("an etcd server", () => {
  const put = (body: unknown) =>
    httpSend("POST /v3/kv/put", { body: JSON.stringify(body), expect: /^HTTP\/1\.1 \d+[\s\S]*\}/ });

  for (const [suite, version] of [["bookworm", /3\.4/], ["sid", /3\.5/]] as const) {
    test(`keeps its data over restart(), as that of ${suite}`, needs("etcd", suite), async () => {
      await using server = await startEtcd({ suite });
      await ask(server.port, put({ key: btoa("k"), value: btoa("v") }));
      await server.restart();
      const range = { body: JSON.stringify({ key: btoa("k") }), expect: new RegExp(btoa("v")) };
      await ask(server.port, httpSend("POST /v3/kv/range", range));
      await ask(server.port, httpGet("/version", version));
    });
  }

  test("wants the password it was given", needs("etcd"), async () => {
    await using server = await startEtcd({ password: "s3cret" });
    assert.match(server.url, /^etcd:\/\/root:s3cret@127\.0\.0\.1:\d+$/);
    await server.restart();
    assert.match(await ask(server.port, put({ key: btoa("k") })), /user name is empty/);
  });
});

describe("a ZooKeeper server", () => {
  for (const [suite, version] of [["bookworm", /version: 3\.8/], ["sid", /version: 3\.9/]] as const) {
    test(`keeps its data over restart(), as that of ${suite}`, needs("zookeeper", suite), async () => {
      await using server = await startZooKeeper({ suite });
      await writeNode(server.port, "v");
      await server.restart();
      assert.equal(await readNode(server.port), "v");
      await ask(server.port, { send: "srvr", expect: version });
      await ask(server.port, { send: "mntr", expect: /zk_znode_count/ });
    });
  }
});

describe("a Consul server", () => {
  test("keeps its data over restart()", needs("consul"), async () => {
    await using server = await startConsul();
    await ask(server.port, httpSend("PUT /v1/kv/k", { body: "v", expect: /true/ }));
    await server.restart();
    await ask(server.port, httpGet("/v1/kv/k?raw", /\r\n\r\nv/));
  });

  test("wants the token it was given", needs("consul"), async () => {
    await using server = await startConsul({ token: "s3cret" });
    assert.match(server.url, /^consul:\/\/:s3cret@127\.0\.0\.1:\d+$/);
    await ask(server.port, httpSend("PUT /v1/kv/k", { body: "v", expect: /^HTTP\/1\.1 403/ }));
    await ask(server.port, httpSend("PUT /v1/kv/k?token=s3cret", { body: "v", expect: /true/ }));
  });
});
