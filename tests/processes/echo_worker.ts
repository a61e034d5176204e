// The worker that processes_test.ts starts.
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { currentRuntime } from "./runtimes.ts";
import { emit, serve } from "./serve.ts";

await serve({
  methods: {
    echo: (...args: unknown[]) => args,
    runtime: () => [currentRuntime, process.argv.slice(2), process.env.COORD_TEST_WORD],
    later: async (ms: number, value: unknown) => {
      await sleep(ms);
      return value;
    },
    double: (token: bigint) => token * 2n,
    fail: () => {
      throw Object.assign(new RangeError("too far"), { code: "TOO_FAR" });
    },
    count: (to: number) => {
      for (let i = 1; i <= to; i++) emit({ i: BigInt(i) });
    },
  },
});
