import assert from "node:assert/strict";
import process from "node:process";
import { describe, test } from "node:test";
import { currentRuntime, RUNTIMES } from "./runtimes.ts";
import { spawnWorker, type Worker, WorkerError } from "./spawn.ts";

const SCRIPT = new URL("./echo_worker.ts", import.meta.url);

async function take(worker: Worker, count: number): Promise<unknown[]> {
  const taken: unknown[] = [];
  for await (const event of worker.events) {
    taken.push(event);
    if (taken.length === count) break;
  }
  return taken;
}

test("currentRuntime is the one that runs this test", () => {
  const expected = "Deno" in globalThis ? "deno" : process.versions.bun ? "bun" : "node";
  assert.equal(currentRuntime, expected);
});

for (const runtime of RUNTIMES) {
  describe(`a worker on ${runtime}`, () => {
    test("runs there, with its arguments and environment", async () => {
      const options = { args: ["a", "b c"], env: { COORD_TEST_WORD: "word" } };
      await using worker = await spawnWorker(runtime, SCRIPT, options);
      assert.deepEqual(await worker.call("runtime"), [runtime, ["a", "b c"], "word"]);
    });

    test("takes and gives JSON and bigints", async () => {
      await using worker = await spawnWorker(runtime, SCRIPT);
      assert.deepEqual(await worker.call("echo", "é\n", [1, null], { deep: { b: 1n } }), [
        "é\n",
        [1, null],
        { deep: { b: 1n } },
      ]);
      assert.equal(await worker.call("double", 2n ** 70n), 2n ** 71n);
    });

    test("answers calls in any order", async () => {
      await using worker = await spawnWorker(runtime, SCRIPT);
      const order: unknown[] = [];
      const calls = [["slow", 100], ["fast", 0]] as const;
      await Promise.all(calls.map(async ([word, ms]) => order.push(await worker.call("later", ms, word))));
      assert.deepEqual(order, ["fast", "slow"]);
    });

    test("hands errors over with name, code and message", async () => {
      await using worker = await spawnWorker(runtime, SCRIPT);
      await assert.rejects(worker.call("fail"), (error) => {
        assert.ok(error instanceof WorkerError);
        assert.deepEqual([error.name, error.code, error.message], ["RangeError", "TOO_FAR", "too far"]);
        return true;
      });
      await assert.rejects(worker.call("nothing"), { name: "TypeError" });
    });

    test("emits events", async () => {
      await using worker = await spawnWorker(runtime, SCRIPT);
      await worker.call("count", 3);
      assert.deepEqual(await take(worker, 3), [{ i: 1n }, { i: 2n }, { i: 3n }]);
    });

    test("fails its open calls when it is killed", async () => {
      await using worker = await spawnWorker(runtime, SCRIPT);
      const call = worker.call("later", 60_000, "never");
      worker.kill("SIGKILL");
      await assert.rejects(call, /ended by SIGKILL/);
      assert.equal((await worker.exited).signal, "SIGKILL");
      assert.deepEqual(await take(worker, 1), []);
    });

    test("ends when its input closes, even while a call is open", async () => {
      const worker = await spawnWorker(runtime, SCRIPT);
      const call = worker.call("later", 60_000, "never");
      call.catch(() => {}); // Its failure is the one of the test before.
      await worker.close();
      assert.deepEqual(await worker.exited, { code: 0, signal: null });
    });
  });
}
