// What waiting costs, on the backend that COORD_BACKEND names.
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { eventually } from "../conformance/waiting.ts";
import { RUNTIMES } from "../processes/runtimes.ts";
import { spawnWorker, type Worker } from "../processes/spawn.ts";
import { startProxy } from "../servers/proxy.ts";
import { Observer } from "./observer.ts";
import { PRODUCTS } from "./products.ts";

const backend = process.env.COORD_BACKEND ?? "etcd";
const product = PRODUCTS[backend];
if (!product) throw new Error(`Cannot test ${backend}: want one of ${Object.keys(PRODUCTS)}`);

const SCRIPT = new URL("./waiters_worker.ts", import.meta.url);
const [PROCESSES, EACH] = [4, 25];
const WAITERS = PROCESSES * EACH;
/** Granted, in ms. */
const TTL = 30_000;
/** How long it is watched what the waiters ask, in ms; a heartbeat is due every third of the ttl. */
const QUIET = 30_000;
const BEATS = QUIET / (TTL / 3) + 1;
/** What one waiter may ask meanwhile: one more that begins or ends a time than fits into it. */
const ALLOWED = BEATS + (product.window < Infinity ? Math.ceil(QUIET / product.window) : 0);
const ROUNDS = 8;
/** So long after a grant all have heard of the release who hear of it, in ms. */
const ECHO = 100;
/** Connections that a release and the grant after it need: of who gives and who takes, which may have to look. */
const FEW = 3;

test(
  `${backend}: ${WAITERS} sessions that wait ask nothing, and a release wakes one`,
  { timeout: 180_000 },
  async () => {
    await using server = await product.server();
    await using proxy = await startProxy(server.port);
    const namespace = "waiting";
    await using observer = await Observer.open(product.factory, server.url, namespace);
    const give = await observer.take("lock");
    const workers: Worker[] = [];
    try {
      const options = { namespace, ttl: TTL / product.grants };
      for (let i = 0; i < PROCESSES; i++) {
        const env = { COORD_WORKER: JSON.stringify({ url: server.urlAt(proxy.port), options }) };
        workers.push(await spawnWorker(RUNTIMES[i % RUNTIMES.length] ?? "deno", SCRIPT, { env }));
      }
      await Promise.all(workers.map((worker) => worker.call("open", EACH)));
      for (const worker of workers) await worker.call("wait", "lock");
      await eventually(async () => await observer.waiting("lock") === WAITERS, 60_000);
      await sleep(1_000);

      const count = async () => await product.requests?.(server) ?? proxy.traffic.requestChunks;
      const before = await count();
      await sleep(QUIET);
      const asked = await count() - before;
      console.log(
        `${backend}: ${asked / WAITERS} requests a waiter in ${
          QUIET / 1000
        } s, of ${ALLOWED} that it may make`,
      );
      assert.ok(asked <= WAITERS * ALLOWED, `${asked} requests`);

      const grants = async () => (await Promise.all(workers.map((one) => one.call("grants")))).map(Number);
      const sum = async () => (await grants()).reduce((a, b) => a + b);
      const woken: number[] = [];
      proxy.takeHeard();
      await give();
      for (let round = 1; round <= ROUNDS; round++) {
        await eventually(async () => await sum() === round);
        await sleep(ECHO);
        woken.push(proxy.takeHeard());
        await sleep(500);
        assert.equal(await sum(), round, "a release lets in one");
        assert.equal(await observer.waiting("lock"), WAITERS - round);
        proxy.takeHeard();
        await Promise.all(workers.map((worker) => worker.call("release")));
      }
      // Heartbeats fall into some of the rounds; who is woken by all releases is heard in every one.
      const [fewest = NaN] = woken.toSorted((a, b) => a - b);
      console.log(`${backend}: a release is heard on ${woken.join(", ")} connections`);
      assert.ok(fewest <= FEW, `a release is heard on ${fewest} connections at least`);
    } finally {
      for (const worker of workers) worker.kill("SIGKILL");
    }
  },
);
