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
        } s, of which ${BEATS} may be heartbeats`,
      );
      assert.ok(asked <= WAITERS * (BEATS + 1), `${asked} requests`);

      const grants = async () => (await Promise.all(workers.map((one) => one.call("grants")))).map(Number);
      const sum = async () => (await grants()).reduce((a, b) => a + b);
      await give();
      for (let round = 1; round <= 3; round++) {
        await eventually(async () => await sum() === round);
        await sleep(500);
        assert.equal(await sum(), round, "a release lets in one");
        assert.equal(await observer.waiting("lock"), WAITERS - round);
        await Promise.all(workers.map((worker) => worker.call("release")));
      }
    } finally {
      for (const worker of workers) worker.kill("SIGKILL");
    }
  },
);
